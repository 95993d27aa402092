"""What Python saves is repeated as what the command writes: the picture is given again."""

import numpy as np
import pytest
from PIL import Image
from tests.workflows.photographs import write_measurement

import veriscale
from veriscale.errors import InputError
from veriscale.imaging.read import read_photo

FAST = {"sampler": "heun", "steps": 2}


@pytest.fixture
def small(tmp_path, cat):
    veriscale.write_photo(cat, tmp_path / "cat.png")
    return write_measurement(tmp_path / "cat.png", tmp_path / "small.png")


@pytest.mark.parametrize(
    "asked",
    [
        {"scale": 4, "dial": 1, "seed": 3, **FAST},
        {"scale": 2.5, "crop": "1,1,9,8"},
        {"operator": "inpaint:mask=m.png", "noise": 0.05, "dial": 0.5, "seed": 1, **FAST},
        {},  # of the sidecar
    ],
    ids=str,
)
def test_a_saved_run_is_repeated(tiny_file, small, tmp_path, monkeypatch, asked):
    monkeypatch.chdir(tmp_path)
    picture = read_photo(small)
    Image.fromarray(np.full((picture.height, picture.width), 255, np.uint8)).save("m.png")
    result = veriscale.restore(small, tiny_file, device="cpu", **asked)
    saved = result.save("deep/saved")
    run = tmp_path / "deep" / "saved" / "restored.run.json"
    with pytest.raises(InputError, match="took its picture in Python; give the picture again"):
        veriscale.restore_files([], "out", repeat=run, device="cpu")
    monkeypatch.chdir(tmp_path / "deep")  # what it names is looked for from where it lies
    for given in (small, tmp_path / "copy.png"):
        given.write_bytes(small.read_bytes())
        said = []
        veriscale.restore_files(given, "out/again.png", repeat=run, device="cpu", force=True, say=said.append)
        assert (tmp_path / "deep" / "out" / "again.png").read_bytes() == (tmp_path / saved[0]).read_bytes()
        assert "repeated run" not in "".join(said)


def test_with_its_mask(tiny_file, small, few, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    veriscale.calibrate(few, "held.json", prior=str(tiny_file), device="cpu")
    asked = {"certificate": "held.json", "alpha": 0.3, "device": "cpu"}
    veriscale.write_photo(veriscale.degrade(read_photo(few / "00.png"), "downsample:factor=4"), "y.png")
    result = veriscale.restore("y.png", tiny_file, **asked)
    result.save("saved")
    (again,) = veriscale.restore_files("y.png", "out", repeat="saved/restored.run.json", device="cpu")
    assert again["certificate"] == result.run["certificate"]
