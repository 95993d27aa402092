"""A certificate is what it was made from, to the last bit, or it is refused."""

import base64
import json
import os
import pickle
import subprocess
import sys
import zlib
from fractions import Fraction

import msgspec
import numpy as np
import pytest
from tests.trust.example_certificate import FACTS, SIDE, example_certificate, example_maps

from veriscale.errors import InputError
from veriscale.trust.certificate import Unit, score_quantiles
from veriscale.trust.certificate_file import digest, packed, read_certificate, write_certificate
from veriscale.trust.conformal import Calibration
from veriscale.trust.drift import p_value
from veriscale.trust.facts import ToolFacts
from veriscale.trust.losses.registry import LOSSES, make_loss
from veriscale.trust.modes import Guarantee
from veriscale.trust.staircase import Staircase

ALPHAS = ("0.05", "0.1", "0.2", "0.5")
MODES = {
    "mean": {},
    "leaked": {"leaked": 2},
    "pac": {"mode": "pac", "delta": 0.2},
    "pac-uniform": {"mode": "pac-uniform", "delta": 0.2, "declared": list(ALPHAS)},
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "certificate.json"


def resealed(document):
    """As an edit would be that also mends the hash."""
    return {**document, "sha256": digest(document)}


def sentence(path):
    with pytest.raises(InputError) as refusal:
        read_certificate(path)
    assert str(path) in str(refusal.value)
    return str(refusal.value)


# ---- what comes back


@pytest.mark.parametrize("loss", LOSSES)
def test_what_is_read_is_what_was_written(path, loss):
    made = example_certificate(loss, leaked=1)
    written = write_certificate(made, path)
    read = read_certificate(path)
    assert read.binding == made.binding
    assert read.information == made.information
    assert read.sha256 == written.sha256 != ""
    for before, after in zip(made.staircases, read.staircases, strict=True):
        assert np.array_equal(before.scores, after.scores)
        assert np.array_equal(before.losses, after.losses)
        assert (after.scores.dtype, after.losses.dtype) == (np.float32, np.int64)
    assert np.array_equal(read.statistics, made.statistics)
    assert np.array_equal(read.quantiles, made.quantiles)
    assert read.thresholds(ALPHAS).tolist() == made.thresholds(ALPHAS).tolist()
    assert read.loss == make_loss(loss)


def test_any_float32_survives(path):
    tiny, huge = np.finfo(np.float32).smallest_subnormal, np.finfo(np.float32).max
    scores = np.float32([-np.inf, -huge, -1 / 3, -tiny, 0, tiny, 0.1, huge])
    stairs = Staircase(scores, np.array([1, 2, 3, 5, 1 << 20, 1 << 29, (1 << 30) - 1, 1 << 30]))
    none = Staircase(np.float32([]), np.array([], np.int64))
    made = example_certificate("sup", example_maps(3))
    made = type(made)(made.binding, {}, (none, stairs, none), made.statistics, made.quantiles)
    write_certificate(made, path)
    read = read_certificate(path).staircases
    assert [s.scores.tolist() for s in read] == [[], scores.tolist(), []]
    assert [s.losses.tolist() for s in read] == [[], stairs.losses.tolist(), []]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("loss", LOSSES)
def test_thresholds_are_those_of_the_staircases(path, loss, mode):
    made = example_certificate(loss, **MODES[mode])
    write_certificate(made, path)
    read = read_certificate(path)
    b = made.binding
    promise = {"bound": b.bound, "binary": loss == "violation", "leaked": b.leaked, "delta": b.delta}
    promise |= {"declared": [Fraction(a) for a in b.declared]}
    allowed = [Guarantee(b.mode, 24, **promise).allowance(Fraction(a)) for a in ALPHAS]
    expected = Calibration(made.staircases, b.bound).thresholds(allowed).tolist()
    assert read.thresholds(ALPHAS).tolist() == [read.threshold(a) for a in ALPHAS] == expected
    assert len(set(expected)) > 1
    assert expected != Calibration(made.staircases, b.bound).thresholds([Fraction(a) * 24 for a in ALPHAS]).tolist()


def test_an_infeasible_level_trusts_nothing_and_says_what_would_do():
    few, enough = (example_certificate(maps=example_maps(n)) for n in (18, 19))
    assert few.threshold("0.05") == -np.inf
    assert few.infeasible("0.05") == (
        "With n = 18 units and B = 1 the smallest alpha is 0.0527; alpha 0.05 needs n = 19."
    )
    assert few.threshold("0.0527") > -np.inf
    assert enough.infeasible("0.05") is None
    assert enough.threshold("0.05") > -np.inf


@pytest.mark.parametrize("mode", MODES)
def test_why_a_level_is_infeasible_is_the_modes_sentence(mode):
    certificate = example_certificate(maps=example_maps(12), **MODES[mode])
    b = certificate.binding
    given = {"leaked": b.leaked, "delta": b.delta, "declared": [Fraction(a) for a in b.declared]}
    expected = Guarantee(b.mode, 12, 1.0, binary=False, **given).infeasible(Fraction("0.05"))
    assert certificate.infeasible("0.05") == expected is not None
    assert certificate.threshold("0.05") == -np.inf


@pytest.mark.parametrize("alpha", [0, -0.1, "nan", "inf", "many"])
def test_a_level_that_is_none_is_refused(alpha):
    with pytest.raises(InputError, match="risk level"):
        example_certificate().threshold(alpha)


def test_a_level_that_was_not_declared_is_refused():
    with pytest.raises(InputError, match=r"not declared.*0\.05, 0\.1, 0\.2, 0\.5"):
        example_certificate(**MODES["pac-uniform"]).threshold("0.15")


@pytest.mark.parametrize("loss", LOSSES)
def test_the_usual_level(loss):
    assert example_certificate(loss).usual_alpha == ("0.05" if loss == "area" else "0.1")


# ---- shares


@pytest.mark.parametrize("threshold", [-np.inf, -2.0, -0.5, 0.005, 0.5, 2.0, np.inf])
def test_shares_of_trusted_pixels_are_known_to_a_hundredth(path, threshold):
    maps = example_maps()
    write_certificate(example_certificate(maps=maps), path)
    read = read_certificate(path)
    exact = np.array([(score < threshold).mean() for score, _ in maps])
    assert read.shares(threshold) == pytest.approx(exact, abs=0.0101)
    assert ((read.shares(threshold) == 0) >= (exact == 0)).all()  # nothing is made of nothing
    losses = np.array([(score < threshold) & (apart > 0.1) for score, apart in maps]).mean(axis=(1, 2))
    empty, others = read.nonempty(threshold)
    assert empty == (exact == 0).mean()
    assert others == pytest.approx(losses[exact > 0].mean() if (exact > 0).any() else 0, abs=1e-8)


def test_a_unit_whose_lowest_score_is_the_threshold_has_an_empty_mask():
    flat = [(np.full((4, 4), k, np.float32), np.ones((4, 4), np.float32)) for k in range(3)]
    certificate = example_certificate(maps=flat)
    assert certificate.nonempty(1.0) == (2 / 3, 1)
    assert certificate.shares(1.0).tolist() == [1, 0, 0]


def test_quantiles_are_scores_that_are_there():
    score = np.float32([[3, 1, 2]])
    assert set(score_quantiles([score]).tolist()) == {1, 2, 3}
    assert (score_quantiles([score])[0], score_quantiles([score])[-1]) == (1, 3)


def test_pixels_that_can_never_be_trusted_stay_so(path):
    hopeless = [(np.full((4, 4), np.inf, np.float32), np.zeros((4, 4), np.float32))]
    write_certificate(example_certificate(maps=hopeless), path)
    read = read_certificate(path)
    assert read.shares(np.inf).tolist() == [0]
    assert read.nonempty(np.inf)[0] == 1


# ---- what is refused


def leaves(document, place=()):
    """The place of every value in a JSON document."""
    pairs = document.items() if isinstance(document, dict) else enumerate(document)
    for key, value in pairs:
        if isinstance(value, dict | list) and value:
            yield from leaves(value, (*place, key))
        else:
            yield (*place, key)


def other(value):
    if isinstance(value, bool | None):
        return 1
    if isinstance(value, float):
        return float(np.nextafter(value, np.inf))
    return value + 1 if isinstance(value, int) else value + "x" if isinstance(value, str) else ["x"]


def test_an_edit_of_any_value_is_seen(path):
    write_certificate(example_certificate(maps=example_maps(2)), path)
    text = path.read_text()
    places = list(leaves(json.loads(text)))
    assert {p[0] for p in places} == set(json.loads(text))
    for place in places:
        document = json.loads(text)
        inside = document
        for key in place[:-1]:
            inside = inside[key]
        inside[place[-1]] = other(inside[place[-1]])
        path.write_text(json.dumps(document))
        expected = {("format",): "is no certificate", ("version",): "is of version 2"}
        assert expected.get(place, "was edited or damaged after it was written") in sentence(path), place
    path.write_text(text)
    read_certificate(path)


def test_what_is_taken_away_or_added_is_seen(path):
    write_certificate(example_certificate(maps=example_maps(2)), path)
    document = json.loads(path.read_text())
    for key in document.keys() - {"format", "version"}:
        path.write_text(json.dumps({k: v for k, v in document.items() if k != key}))
        assert "edited" in sentence(path)
    path.write_text(json.dumps({**document, "signature": "trust me"}))
    assert "edited" in sentence(path)


def restored(**facts):
    return lambda d: d | {"binding": d["binding"] | {"restoration": d["binding"]["restoration"] | facts}}


def packed_steps(scores, rises):
    return packed(np.float32(scores), np.uint32(rises))


@pytest.mark.parametrize(
    "edit, words",
    [
        (lambda d: d | {"signature": "x"}, "not valid"),
        (lambda d: d | {"binding": d["binding"] | {"alpha": 0.1}}, "not valid"),
        (lambda d: d | {"binding": {k: v for k, v in d["binding"].items() if k != "bound"}}, "not valid"),
        (lambda d: d | {"binding": d["binding"] | {"n": 2}}, "speaks of 2 units and holds 3"),
        (lambda d: d | {"binding": d["binding"] | {"loss": "sup"}}, "has no tau"),
        (lambda d: d | {"statistics": d["statistics"][:2]}, "speaks of 3 units"),
        (lambda d: d | {"quantiles": d["quantiles"][:-10]}, "not valid"),
        (lambda d: d | {"sizes": [2000, 0, 0]}, "more than 1024 steps"),
        (lambda d: d | {"binding": d["binding"] | {"bound": 0.5}}, "B is 0.5 where 1 belongs"),
        (lambda d: d | {"binding": d["binding"] | {"leaked": 4}}, "4 leaked units among 3"),
        (lambda d: d | {"binding": d["binding"] | {"score": "trust"}}, "Unknown score 'trust'"),
        (lambda d: d | {"binding": d["binding"] | {"mode": "pac"}}, "needs a delta"),
        (lambda d: d | {"binding": d["binding"] | {"restoration": {}}}, "not valid"),
        (lambda d: d | {"binding": d["binding"] | {"restoration": 3}}, "not valid"),
        (lambda d: d | {"binding": d["binding"] | {"restoration": {"command": "x"}}}, "not valid"),
        (restored(guides=["t1"], moon=1), "not valid: Object contains unknown field `moon`"),
        (restored(dtype="complex64"), "not valid: Invalid enum value 'complex64'"),
        (restored(dial="0"), "not valid: Expected `float`, got `str`"),
        (lambda d: d | {"information": {"files": 3}}, "not valid"),
        (lambda d: d | {"information": {"failed": ["a"]}}, "not valid"),
        (lambda d: d | {"sizes": [-1, 1, 0], "events": packed()}, "more than 1024 steps"),
        (lambda d: d | {"sizes": [2, 0, 0], "events": packed_steps([2, 1], [1, 1])}, "no staircase"),
        (lambda d: d | {"sizes": [2, 0, 0], "events": packed_steps([1, np.inf], [1, 1])}, "no staircase"),
        (lambda d: d | {"sizes": [2, 0, 0], "events": packed_steps([1, 2], [1, 0])}, "no staircase"),
        (lambda d: d | {"sizes": [2, 0, 0], "events": packed_steps([1, 2], [1 << 30, 1])}, "no staircase"),
        (lambda d: d | {"events": packed(np.zeros(10_000_000, np.float32))}, "does not hold the"),
        (lambda d: d | {"sizes": d["sizes"][:2]}, "not valid"),
        (lambda d: d | {"events": d["events"][:-10]}, "not valid"),
        (lambda d: d | {"events": ""}, "not valid"),
        (lambda d: d | {"events": "\x00"}, "not valid"),
    ],
)
def test_a_mended_hash_does_not_make_sense_of_nonsense(path, edit, words):
    write_certificate(example_certificate(maps=example_maps(3)), path)
    path.write_text(json.dumps(resealed(edit(json.loads(path.read_text())))))
    with pytest.raises(InputError, match=words):
        read_certificate(path)


@pytest.mark.parametrize("share", [0, 0.001, 0.3, 0.999])
def test_a_truncated_file(path, share):
    write_certificate(example_certificate(maps=example_maps(2)), path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    assert "is truncated or is no JSON" in sentence(path)


@pytest.mark.parametrize(
    "content, words",
    [
        (pickle.dumps({"format": "veriscale certificate"}), "is no JSON"),
        (b"\xff\xfe\x00", "is no JSON"),
        (b"[" * 100_000, "is no JSON"),
        (b"[1, 2]", "is no certificate of veriscale calibrate"),
        (b"null", "is no certificate of veriscale calibrate"),
        (b'{"version": 1}', "is no certificate of veriscale calibrate"),
        (b'{"format": "veriscale certificate", "version": 2}', "is of version 2; this library reads version 1"),
        (b'{"format": "veriscale certificate"}', "is of version None"),
        (b'{"format": "veriscale certificate", "version": 1}', "edited or damaged"),
    ],
)
def test_something_else(path, content, words):
    path.write_bytes(content)
    assert words in sentence(path)


def test_what_cannot_be_read(path, tmp_path):
    assert "No such file" in sentence(path)
    assert "cannot be read" in sentence(tmp_path)


def test_a_certificate_is_not_overwritten(path):
    first = write_certificate(example_certificate(), path)
    with pytest.raises(InputError, match="add force"):
        write_certificate(example_certificate(leaked=1), path)
    assert read_certificate(path).sha256 == first.sha256
    write_certificate(example_certificate(leaked=1), path, force=True)
    assert read_certificate(path).binding.leaked == 1


# ---- what must be the same in use


def test_the_same_restoration_passes_and_one_of_more_facts_does_not(path):
    write_certificate(example_certificate(), path)
    read = read_certificate(path)
    read.check(FACTS)
    with pytest.raises(InputError, match="for seed none, and this is 3"):
        read.check(msgspec.structs.replace(FACTS, seed=3))


def test_a_bomb_among_the_events_is_not_unpacked(path):
    write_certificate(example_certificate(), path)
    document = json.loads(path.read_text())
    document["events"] = base64.b85encode(zlib.compress(bytes(1 << 26), 9)).decode()
    path.write_text(json.dumps({**document, "sha256": digest(document)}))
    with pytest.raises(InputError, match="does not hold the"):
        read_certificate(path)


def test_a_pipe_is_no_certificate(tmp_path):
    os.mkfifo(tmp_path / "pipe.json")
    with pytest.raises(InputError, match="cannot be read"):
        read_certificate(tmp_path / "pipe.json")


@pytest.mark.parametrize("key", FACTS.given())
def test_a_difference_is_named(key):
    with pytest.raises(InputError, match=f"^The certificate is for {key} .*leave it to the certificate, or calibrate"):
        example_certificate().check(msgspec.structs.replace(FACTS, **{key: "other"}))


def test_a_fact_that_is_missing_is_named():
    sampled = msgspec.structs.replace(FACTS, seed=0)
    with pytest.raises(InputError, match=r"^The certificate is for seed 0, and this is none: "):
        example_certificate(restoration=sampled).check(FACTS)


def test_a_prior_is_no_tool():
    tool = ToolFacts("tool {in} {out}", "0" * 64, FACTS.operator, 4, FACTS.noise)
    with pytest.raises(InputError, match=rf"^The certificate is for prior {'0' * 12}…, and this is none: "):
        example_certificate().check(tool)
    made = example_certificate(restoration=tool)
    assert (made.command, made.dial, example_certificate().command) == ("tool {in} {out}", None, None)
    with pytest.raises(InputError, match=r"^The certificate is for command tool {in} {out}, and this is none: "):
        made.check(FACTS)


def test_hashes_are_shortened():
    certificate = example_certificate(restoration=msgspec.structs.replace(FACTS, prior="a" * 64))
    with pytest.raises(InputError, match=rf"prior {'a' * 12}…, and this is {'b' * 12}…: "):
        certificate.check(msgspec.structs.replace(FACTS, prior="b" * 64))


def test_the_unit_itself_passes():
    example_certificate().check_unit(SIDE, SIDE, 3, 8)


@pytest.mark.parametrize(
    "unit, words",
    [
        ((SIDE, SIDE, 1, 8), r"for RGB pictures and this one is grey\.$"),
        ((SIDE, SIDE, 3, 16), r"of 8 bits and this one has 16; convert it first\.$"),
        ((48, 32, 3, 8), r"of 24×24 and this one would be 48×32; restore a part with crop 3,1,6,6, or .*tile-mean"),
        ((48, 16, 3, 8), r"would be 48×16; calibrate for that size with unit 48x16\.$"),
        ((16, 16, 3, 8), r"would be 16×16; calibrate for that size with unit 16x16\.$"),
        ((48, 48, 3, 16), "16; convert it first"),
    ],
)
def test_another_unit_is_refused(unit, words):
    with pytest.raises(InputError, match=words):
        example_certificate().check_unit(*unit)


def test_tiles_are_units_of_any_size():
    certificate = example_certificate("tile-mean", unit=Unit("picture", None, None, "grey"))
    certificate.check_unit(1000, 17, 1, 8)
    with pytest.raises(InputError, match="for grey pictures and this one is RGB"):
        certificate.check_unit(1000, 17, 3, 8)


def test_drift_is_that_of_the_measurements():
    certificate = example_certificate()
    new = np.random.default_rng(2).normal(0, 3, 7)
    assert certificate.drift(new) == p_value(certificate.statistics, new) > 0.05
    assert certificate.drift(new + 100) == 1 / 25


def test_certificates_need_no_torch():
    code = "import sys, veriscale; veriscale.read_certificate; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
