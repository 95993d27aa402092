"""`evaluate --certificate`: the promise beside what happens."""

import json
import shutil

import numpy as np
from PIL import Image
from tests.cli.conftest import CPU

from veriscale.imaging.photo import Photo
from veriscale.imaging.write import write_photo


def test_evaluate_shows_the_promise_beside_what_happens(veriscale, place, tmp_path):
    options = ("evaluate", place / "other", *CPU, "--certificate", place / "sup.json", "--alpha", "0.05, 0.2,0.3")
    code, out, _ = veriscale(*options, "-o", tmp_path / "out")
    assert code == 0
    lines = out.splitlines()
    assert lines[0] == "4 pictures, loss sup; each level is a promise by itself"
    assert [line.split()[0] for line in lines[2:]] == ["0.05", "0.2", "0.3"]
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"evaluation.json", "trust.png"}
    assert Image.open(tmp_path / "out" / "trust.png").format == "PNG"
    document = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert [f"{row['risk']:.4f}" for row in document["levels"]] == [line.split()[1] for line in lines[2:]]
    code, out, _ = veriscale(*options, "--json", "--quiet")
    assert (code, json.loads(out)) == (0, document)


def test_evaluate_goes_on_past_a_picture_that_is_no_unit(veriscale, refused, place, tmp_path):
    folder = tmp_path / "in"
    shutil.copytree(place / "other", folder)
    write_photo(Photo(np.zeros((20, 20, 3), np.float32)), folder / "small.png")
    for json_too in ((), ("--json",)):
        options = ("evaluate", folder, *CPU, "--certificate", place / "area.json", "--alpha", "0.3", *json_too)
        code, out, err = veriscale(*options)
        assert code == 2
        assert "small.png: 20×20 pixels are fewer than the unit's 48×48" in err.replace(f"{folder}/", "")
    assert json.loads(out)["pictures"] == ["00.png", "01.png", "02.png", "03.png"]
    assert "small.png" in json.loads(out)["failed"][0]


def test_evaluate_sweeps_alpha(veriscale, place):
    code, out, _ = veriscale("evaluate", place / "other", *CPU, "--certificate", place / "area.json", "--json")
    assert code == 0
    assert len(json.loads(out)["levels"]) == 25


def test_evaluate_refuses(veriscale, refused, place, tmp_path):
    area = ("--certificate", place / "area.json", *CPU)
    assert "was calibrated on" in refused("evaluate", place / "calibration", *area)
    for option, value in {"--scale": 4, "--dial": 0, "--noise": 0, "--steps": 3, "--sampler": "heun"}.items():
        assert f"{option} is fixed by the certificate" in refused("evaluate", place / "other", *area, option, value)
    assert "not a finite number" in refused("evaluate", place / "other", *area, "--alpha", "0.1,much")
    assert "cannot be kept" in refused("evaluate", place / "other", *area, "--alpha", "0")
    assert "go together" in refused("evaluate", place / "other", *area, "--score-files", "{stem}.npy")
    assert "belong to a --certificate" in refused("evaluate", place / "other", "--alpha", "0.1")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "trust.png").write_text("mine")
    assert "--force" in refused("evaluate", place / "other", *area, "--alpha", "0.1", "-o", tmp_path / "out")


def test_evaluate_a_tool(veriscale, refused, place, resizer):
    options = ("evaluate", place / "other", "--certificate", "tool.json", "--alpha", "0.2,0.5")
    code, out, err = veriscale(*options, "--command", resizer)
    assert code == 0, err
    assert out.startswith("4 pictures, loss area")
    assert "give --command" in refused(*options)
    assert "give --command" in refused(*options, "--prior", "tiny")
    assert "for command" in refused(*options, "--command", f"{resizer} --more")
