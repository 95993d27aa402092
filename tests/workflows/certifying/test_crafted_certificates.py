"""Whatever somebody writes into a certificate and seals, it is refused in one sentence or it works."""

import json
from copy import deepcopy

import numpy as np
import pytest
from tests.conftest import RESIZE
from tests.workflows.photographs import write_measurement

import veriscale
from veriscale.errors import InputError
from veriscale.trust.certificate_file import digest, read_certificate
from veriscale.workflows.certifying.calibration import calibrate

NESTED = json.loads("[" * 300 + "]" * 300)
ODD = [None, True, 0, -1, 2.5, 1e30, "x", "ß{}\u2028", [], ["x"], {}, {"x": 1}, NESTED]
AWAY, MORE = "taken away", "one more beside it"
OPTIONAL = {"width", "height", "tau", "tile", "delta", "scale", "trained_on", "timeout"}  # null or a number
UNSET = {("information", "alpha")}  # may be left out
MAPPINGS = {("information", "files"), ("information", "versions")}  # by names that say nothing
QUICK = {"sampler": "heun", "steps": 2}


@pytest.fixture
def of_prior(tiny, few, output):
    settings = {"dial": 0.5, "score": "variance", "samples": 2, **QUICK}
    calibrate(few, output, prior=tiny, mode="pac-uniform", delta=0.5, alphas=["0.5"], **settings)
    return lambda y, held: veriscale.restore(y, tiny, certificate=held, alpha="0.5")


@pytest.fixture
def of_method(tiny, few, output, tmp_path):
    np.save(tmp_path / "k.npy", np.ones((3, 3)))
    for file in sorted(few.iterdir())[1:]:
        file.unlink()
    operator = f"downsample:factor=4 + blur:kernel={tmp_path}/k.npy"
    calibrate(few, output, prior=tiny, operator=operator, score="gradient", loss="tile-mean", alpha="0.6")
    return lambda y, held: veriscale.restore(y, tiny, certificate=held)


@pytest.fixture
def of_tool(few, output, tool):
    for file in sorted(few.iterdir())[2:]:
        file.unlink()
    command = tool(RESIZE)
    calibrate(few, output, command=command, scale=4, score="files", score_files=str(maps(few)))
    return lambda y, held: veriscale.restore(y, command=command, certificate=held, score_files=str(maps(few)))


def maps(folder):
    for stem in ("00", "01", "y"):
        np.save(folder.parent / f"{stem}.npy", np.random.default_rng(0).random((48, 48)))
    return folder.parent / "{stem}.npy"


def places(document, place=()):
    """Of every value, and of the first of those that are alike."""
    if place:
        yield place
    if isinstance(document, dict | list) and document:
        alike = isinstance(document, list) or place in MAPPINGS
        keys = list(document) if isinstance(document, dict) else [0]
        for key in keys[:1] if alike else keys:
            yield from places(document[key], (*place, key))


def crafted(document):
    """Everything that can be wrong with one field: the document, where it is, what was there, and what is."""
    for place in places({k: v for k, v in document.items() if k != "sha256"}):
        for odd in [*ODD, AWAY, MORE]:
            made = deepcopy(document)
            inside = made
            for key in place[:-1]:
                inside = inside[key]
            old = inside[place[-1]]
            if odd is AWAY:
                del inside[place[-1]]
            elif odd is not MORE:
                inside[place[-1]] = odd
            elif isinstance(inside, dict):
                inside["moon"] = 1
            else:
                continue
            yield made, place, old, odd


def kind_of(value):
    return float if type(value) is int else type(value)


@pytest.mark.parametrize("kind", ["of_prior", "of_method", "of_tool"])
def test_any_field_of_a_crafted_certificate(kind, request, few, output, tmp_path):
    use = request.getfixturevalue(kind)
    y = write_measurement(few / "00.png", tmp_path / "y.png")
    used, sentences = 0, list[str]()
    for document, place, old, odd in crafted(json.loads(output.read_text())):
        output.write_text(json.dumps({**document, "sha256": digest(document)}))
        try:
            held = read_certificate(output)
            mask = use(y, held).mask
            assert mask.sentences()
            assert json.dumps([mask.facts(), held.shares(0.5).tolist(), held.nonempty(0.5)])
            used += 1
        except InputError as refusal:
            sentences.append(str(refusal))
            continue
        except Exception as error:
            pytest.fail(f"{place}, {odd!r}: {error!r}")
        if odd in (AWAY, MORE):
            assert place[:-1] in MAPPINGS or isinstance(place[-1], int) or place in UNSET, (place, odd)
        else:
            assert kind_of(odd) is kind_of(old) or place[-1] in OPTIONAL, (place, odd)
    assert not [s for s in sentences if "\n" in s]
    assert used > 20  # what is in order is not refused
