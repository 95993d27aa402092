"""`veriscale calibrate` on real files."""

import json

import numpy as np
import pytest
from tests.cli.conftest import TINY
from tests.conftest import RESIZE
from tests.workflows.photographs import write_crops

import veriscale as library
from veriscale.imaging.photo import Photo
from veriscale.imaging.write import write_photo
from veriscale.workflows.restoring.prior_restorer import PriorRestorer


@pytest.fixture
def pictures(tmp_path, skimage_data):
    write_crops(tmp_path / "pictures", skimage_data, 20)
    return tmp_path / "pictures"


def test_a_certificate_comes_out(veriscale, pictures, output):
    code, out, err = veriscale("calibrate", pictures, *TINY, "-o", output)
    assert (code, out) == (0, f"{output}\n")
    assert "20 pictures, results of 48×48, downsample:factor=4,kernel=bicubic" in err
    made = library.read_certificate(output)
    share = made.shares(made.threshold("0.05")).mean()
    assert f"At alpha 0.05 about {share:.0%} of the 20 units' pixels are trusted." in err
    assert [p.name for p in output.parent.iterdir()] == ["certificate.json"]
    assert (made.binding.loss, made.binding.tau, made.binding.mode) == ("area", 0.1, "mean")


def test_python_gives_the_same(veriscale, pictures, output, tiny_file, tmp_path):
    assert veriscale("calibrate", pictures, *TINY, "-o", output, "--loss", "sup", "--dial", 0, "--scale", 4)[0] == 0
    made = library.calibrate(pictures, tmp_path / "b.json", prior=str(tiny_file), loss="sup")
    read = library.read_certificate(output)
    assert read.binding == made.binding
    assert read.thresholds(["0.1", "0.5"]).tolist() == made.thresholds(["0.1", "0.5"]).tolist()


@pytest.mark.parametrize(
    "options, binding",
    [
        (("--loss", "sup"), {"loss": "sup", "tau": None, "score": "predictor:tau=0.15,context=0.25,smooth=2"}),
        (("--loss", "tile-mean", "--tile", "16"), {"loss": "tile-mean", "tile": 16}),
        (("--loss", "recall", "--tau", "0.2"), {"loss": "recall", "tau": 0.2}),
        (
            ("--loss", "violation", "--mode", "pac", "--delta", "0.1"),
            {"loss": "violation", "mode": "pac", "delta": 0.1},
        ),
        (("--mode", "pac-uniform", "--delta", "0.1", "--alphas", "0.9, 0.95"), {"declared": ["0.9", "0.95"]}),
        (("--discrepancy", "neighbourhood:std=1", "--loss", "sup"), {"discrepancy": "neighbourhood:std=1"}),
        (("--score", "gradient:std=2,smooth=1"), {"score": "gradient:std=2,smooth=1"}),
        (("--leaked", "2"), {"leaked": 2}),
        (("--unit", "40x32"), {}),
    ],
)
def test_options_bind(veriscale, few, output, options, binding):
    code, out, _ = veriscale("calibrate", few, *TINY, "-o", output, *options)
    assert (code, out) == (0, f"{output}\n")
    made = library.read_certificate(output).binding
    assert {k: getattr(made, k) for k in binding} == binding
    unit = (made.unit.kind, made.unit.width, made.unit.height)
    size = (40, 32) if "--unit" in options else (None, None) if "tile-mean" in options else (48, 48)
    assert unit == ("picture", *size)


def test_options_of_the_restoration_bind(veriscale, few, output):
    options = ("--dial", 0.5, "--path", "renoise", "--sampler", "heun", "--steps", 2, "--seed", 3, "--scale", 2)
    options += ("--score", "variance:smooth=2", "--samples", 3, "--noise", 0.02)
    assert veriscale("calibrate", few, *TINY, "-o", output, *options)[0] == 0
    facts = library.read_certificate(output).binding.restoration.given()
    expected = {"dial": 0.5, "path": "renoise", "sampler": "heun", "steps": 2, "seed": 3, "scale": 2, "samples": 3}
    expected |= {"noise": "gaussian:0.02"}
    assert {k: facts[k] for k in expected} == expected


def test_what_cannot_be_promised_is_said(veriscale, few, output):
    _, _, err = veriscale("calibrate", few, *TINY, "-o", output)
    assert "With n = 3 units and B = 1 the smallest alpha is 0.25; alpha 0.05 needs n = 19." in err
    _, _, err = veriscale("calibrate", few, *TINY, "-o", output, "--force", "--quiet")
    assert err.startswith("veriscale: With n = 3 units")
    assert err.count("\n") == 1


def test_one_corrupt_image_among_many(veriscale, refused, few, output, monkeypatch):
    (few / "torn.jpg").write_bytes(b"\xff\xd8\xff not a picture")
    scored, prepare = [], PriorRestorer.prepare
    monkeypatch.setattr(PriorRestorer, "prepare", lambda self, y, **of: scored.append(y) or prepare(self, y, **of))
    sentence = refused("calibrate", few, *TINY, "-o", output)
    assert "torn.jpg" in sentence
    assert "--skip-bad" in sentence
    assert scored == []
    code, _, err = veriscale("calibrate", few, *TINY, "-o", output, "--skip-bad")
    assert code == 0
    assert "Left out: " in err
    assert "torn.jpg" in err
    assert library.read_certificate(output).information["left_out"].keys() == {"torn.jpg"}


def test_an_interrupted_run_goes_on(veriscale, few, output, monkeypatch):
    scored, prepare = [], PriorRestorer.prepare

    def interrupting(self, photo, path=None, stem=None):
        if stem is not None:
            scored.append(stem)
            if len(scored) == 3:
                raise KeyboardInterrupt
        return prepare(self, photo, path, stem)

    monkeypatch.setattr(PriorRestorer, "prepare", interrupting)
    code, out, err = veriscale("calibrate", few, *TINY, "-o", output)
    assert (code, out) == (130, "")
    assert "Interrupted." in err
    assert [p.name for p in output.parent.iterdir()] == ["certificate.json.part"]
    assert veriscale("calibrate", few, *TINY, "-o", output)[0] == 0
    assert scored == ["00", "01", "02", "02"]
    assert [p.name for p in output.parent.iterdir()] == ["certificate.json"]


def test_scores_from_files(veriscale, few, output, tmp_path):
    for k in range(3):
        np.save(tmp_path / f"0{k}.npy", np.random.default_rng(k).random((48, 48), np.float32))
    pattern = tmp_path / "{stem}.npy"
    assert veriscale("calibrate", few, *TINY, "-o", output, "--score-files", pattern)[0] == 0
    assert library.read_certificate(output).binding.score == "files"
    assert str(tmp_path) not in output.read_text()


# ---- anybody's tool


def test_a_tool_with_its_usual_score(veriscale, few, output, tool):
    code, out, err = veriscale("calibrate", few, "--command", tool(RESIZE), "--scale", 4, "-o", output)
    assert (code, out) == (0, f"{output}\n")
    assert "score gradient:std=0.7,smooth=2" in err
    facts = library.read_certificate(output).binding.restoration.given()
    assert facts["command"] == tool(RESIZE)
    assert len(facts["tool"]) == 64


def test_a_tool_with_the_users_maps(veriscale, few, output, tool, tmp_path):
    for k in range(3):
        np.save(tmp_path / f"0{k}.npy", np.random.default_rng(k).random((48, 48), np.float32))
    options = ("--scale", 4, "--score-files", tmp_path / "{stem}.npy")
    assert veriscale("calibrate", few, "--command", tool(RESIZE), "-o", output, *options)[0] == 0
    assert library.read_certificate(output).binding.score == "files"


def test_a_stochastic_tool_is_run_again_and_a_deterministic_one_refused(veriscale, refused, few, output, tool):
    noisy = RESIZE.replace("picture =", "import os; from PIL import ImageChops\npicture =").replace(
        "picture.resize((4 * picture.width, 4 * picture.height), Image.BICUBIC)",
        "ImageChops.add(large := picture.resize((4 * picture.width, 4 * picture.height)), Image.frombytes('RGB', "
        "large.size, os.urandom(3 * large.width * large.height)).point(lambda v: v // 16))",
    )
    options = ("--scale", 4, "--score", "variance", "--samples", 2, "-o", output)
    assert veriscale("calibrate", few, "--command", tool(noisy), *options)[0] == 0
    assert library.read_certificate(output).binding.restoration.samples == 2
    sentence = refused("calibrate", few, "--command", tool(RESIZE), *options, "--force", "--quiet")
    assert "the same picture every time on every picture" in sentence
    assert "choose --score gradient or perturbed" in sentence


def test_failures_of_a_tool_stop_nothing(veriscale, few, output, tool):
    write_photo(Photo(np.full((48, 48, 3), 0.5, np.float32)), few / "flat.png")
    script = RESIZE.replace("picture =", "import time\npicture =", 1)
    script += "\nif len(set(picture.getdata())) == 1:\n    time.sleep(30)\n"
    options = ("--scale", 4, "--score", "gradient", "--timeout", 1.5, "-o", output)
    code, _, err = veriscale("calibrate", few, "--command", tool(script), *options)
    assert code == 0
    assert "flat.png: The tool did not finish within 1.5 s and was stopped." in err
    made = library.read_certificate(output)
    assert made.binding.n == 3
    assert list(made.information["failed"]) == ["flat.png"]
    assert "With n = 3 units" in err


def test_too_few_that_are_left_for_the_level_that_is_meant(veriscale, refused, few, output, tool):
    """What was measured stays, and serves for another level."""
    write_photo(Photo(np.full((48, 48, 3), 0.5, np.float32)), few / "flat.png")
    script = RESIZE.replace("picture =", "import sys\npicture =", 1)
    script += "\nif len(set(picture.getdata())) == 1:\n    sys.exit(3)\n"
    asked = ("calibrate", few, "--command", tool(script), "--scale", 4, "--score", "gradient", "-o", output, "--quiet")
    sentence = refused(*asked, "--alpha", 0.22)  # enough of four
    assert "With n = 3 pictures and B = 1 the smallest alpha is 0.25; alpha 0.22 needs n = 4." in sentence
    assert not output.exists()
    left = output.with_name(output.name + ".part").read_text()
    code, _, err = veriscale(*asked, "--alpha", 0.3)
    assert code == 0, err
    assert len(left.splitlines()) == 5
    assert library.read_certificate(output).usual_alpha == "0.3"


def test_the_level_that_is_meant_is_the_one_that_is_said(veriscale, few, output):
    asked = ("--mode", "pac-uniform", "--delta", 0.5, "--alphas", "0.9,0.8", "--alpha", 0.8)
    code, _, err = veriscale("calibrate", few, *TINY, *asked, "-o", output)
    assert code == 0, err
    assert "At alpha 0.8 about" in err
    assert "At alpha 0.9" not in err


def test_json_of_a_certificate_is_readable(veriscale, few, output):
    veriscale("calibrate", few, *TINY, "-o", output)
    document = json.loads(output.read_text())
    assert document["format"] == "veriscale certificate"
    assert document["binding"]["restoration"]["operator"] == "downsample:factor=4,kernel=bicubic"
    assert document["information"]["trained_on"] is None


def test_a_certificate_is_shown_by_its_name(veriscale):
    code, out, _ = veriscale("priors", "photo_x4_dial-0_area")
    assert code == 0
    assert "downsample:factor=4,kernel=bicubic" in out
    assert "at alpha 0.05 about 7" in out
    code, out, _ = veriscale("priors", "photo_x4_dial-0_area", "--json")
    assert (code, json.loads(out)["binding"]["n"]) == (0, 50)


def test_the_shipped_certificates_are_of_the_shipped_prior(veriscale):
    from veriscale.diffusion.checkpoint import read_card
    from veriscale.diffusion.library import find_prior
    from veriscale.workflows.opening import find_certificate

    card = read_card(find_prior("photo"))
    for name in ("0_area", "0_sup", "0.5_area", "0.5_sup"):
        held = find_certificate(f"photo_x4_dial-{name}")
        made = held.binding.restoration.given()
        assert (made["prior"], made["predictor"]) == (card.tensors_sha256, card.predictor_sha256)
        assert (held.binding.n, held.binding.unit.width, held.information["trained_on"]) == (50, 320, 0)
        assert f"{made['dial']:g}_{held.binding.loss}" == name
