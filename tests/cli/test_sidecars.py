"""What is stated, what the sidecar beside the input says, and what a certificate says: who wins, and what is said."""

import json

import numpy as np
import pytest
from PIL import Image
from tests.cli.conftest import CPU, TINY

import veriscale as library

BLUR = "blur:kernel=gaussian,std=1"


@pytest.fixture
def measured(veriscale, skimage_data, tmp_path):
    Image.open(skimage_data / "chelsea.png").crop((100, 100, 140, 132)).save(tmp_path / "x.png")
    asked = ("--operator", BLUR, "--noise", 0.05, "-o", tmp_path / "y.png")
    assert veriscale("degrade", tmp_path / "x.png", *asked)[0] == 0
    return tmp_path / "y.png"


@pytest.mark.parametrize(
    "stated, used",
    [
        (("--operator", "inpaint:keep=0.5"), "inpaint:keep=0.5,seed=0"),
        (("--operator", "blur:kernel=gaussian,std=2"), "blur:kernel=gaussian,std=2,boundary=circular"),
        (("--scale", 2), "downsample:factor=2,kernel=bicubic"),
        (("--scale", 2.5), "downsample:factor=2.5,kernel=bicubic"),
    ],
)
def test_what_contradicts_the_sidecar_wins_and_is_said_once(veriscale, measured, tmp_path, stated, used):
    code, _, err = veriscale("restore", measured, *TINY, *stated, "--dry-run")
    line = f"{measured}: the sidecar says {BLUR},boundary=circular, noise gaussian:0.05; as stated, {used} is used."
    assert (code, [found for found in err.splitlines() if "sidecar says" in found]) == (0, [line])


@pytest.mark.parametrize("stated", [(), ("--operator", BLUR), ("--operator", "blur:std=1.0,kernel=gaussian")])
def test_what_agrees_with_it_is_not(veriscale, measured, stated):
    code, _, err = veriscale("restore", measured, *TINY, *stated, "--dry-run")
    assert (code, "sidecar says" in err) == (0, False)


@pytest.mark.parametrize(
    "operator", ["slice:fwhm=4,step=4,axis=0", "downsample:factor=2", "jpeg:quality=40", "hdr + inpaint:keep=0.5"]
)
def test_nor_is_a_sidecar_that_nobody_contradicts(veriscale, measured, tmp_path, operator):
    assert veriscale("degrade", tmp_path / "x.png", "--operator", operator, "-o", tmp_path / "z.png")[0] == 0
    code, _, err = veriscale("restore", tmp_path / "z.png", *TINY, "--dry-run")
    assert (code, "sidecar says" in err) == (0, False), err


def test_a_file_of_the_operator_is_the_same_from_everywhere(veriscale, measured, tmp_path, monkeypatch):
    np.save(tmp_path / "k.npy", np.full((3, 3), 1 / 9))
    monkeypatch.chdir(tmp_path)
    operator = ("--operator", "blur:kernel=k.npy")
    assert veriscale("degrade", "x.png", *operator, "-o", "deep/z.png")[0] == 0
    for given in ((), operator):
        code, _, err = veriscale("restore", "deep/z.png", *TINY, *given, "--dry-run")
        assert (code, "sidecar says" in err) == (0, False)


MODULE = """
import veriscale


def smear(x):
    return (x + x.roll(1, -1)) / 2


def operator():
    return veriscale.operator_from(smear, name="smear", version="2")
"""


def test_noise_is_left_to_the_certificate_of_an_own_operator(veriscale, refused, few, tmp_path, monkeypatch):
    (tmp_path / "own_smear.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    own = ("--operator", "own_smear:operator")
    made = ("--noise", 0.02, "--score", "gradient", "--tau", 0.05, "-o", "c.json", "--quiet")
    assert veriscale("calibrate", few, *TINY, *own, *made)[0] == 0
    y = library.degrade(few / "00.png", "own_smear:operator", 0.02)
    library.write_photo(y, tmp_path / "y.png")
    asked = ("restore", "y.png", *TINY, *own, "--certificate", "c.json", "--alpha", 0.5)
    code, _, err = veriscale(*asked, "-o", "a.png")
    assert code == 0, err
    assert json.loads((tmp_path / "a.run.json").read_text())["noise"] == "gaussian:0.02"
    assert "certificate is for noise gaussian:0.02, and this is gaussian:0.03" in refused(*asked, "--noise", 0.03)


def test_noise_is_left_to_the_certificate_of_a_factor(veriscale, refused, cat, place, tmp_path):
    bare = cat.with_name("bare.png")
    bare.write_bytes(cat.read_bytes())  # without a sidecar
    asked = ("restore", bare, *CPU, "--certificate", place / "noisy.json")
    for given in (("--scale", 4), ("--operator", "downsample:factor=4")):
        code, _, err = veriscale(*asked, *given, "-o", tmp_path / "a.png", "--force")
        assert code == 0, err
        assert "noise gaussian:0.02" in err
    (tmp_path / "a.toml").write_text('noise = 0.03\n[[operator]]\nname = "downsample"\nfactor = 4\n')
    assert "and this is gaussian:0.03" in refused(*asked, "--operator", tmp_path / "a.toml")
