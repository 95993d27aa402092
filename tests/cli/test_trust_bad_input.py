"""Bad input to `calibrate`, `restore --certificate` and `evaluate --certificate`: one sentence, exit code 2."""

import json
import pickle

import numpy as np
import pytest
import tifffile
from tests.cli.conftest import CPU as ON_CPU
from tests.cli.conftest import TINY
from tests.conftest import write_tiny

from veriscale.imaging.photo import Photo
from veriscale.imaging.read import read_photo
from veriscale.imaging.write import write_photo
from veriscale.trust.certificate_file import digest

CPU = (*ON_CPU, "--quiet")


# ---- calibrate


def spoil_nothing(folder):
    pass


def empty(folder):
    for f in folder.iterdir():
        f.unlink()


def tear(folder):
    (folder / "01.png").write_bytes((folder / "01.png").read_bytes()[:500])


def write_nan(folder):
    tifffile.imwrite(folder / "nan.tif", np.full((48, 48, 3), np.nan, np.float32), photometric="rgb")


def write_bright(folder):
    tifffile.imwrite(folder / "bright.tif", np.full((48, 48, 3), 3, np.float32), photometric="rgb")


@pytest.mark.parametrize(
    "spoil, options, words",
    [
        (empty, (), "holds no image"),
        (tear, (), "--skip-bad"),
        (write_nan, (), "nan.tif: it holds NaN"),
        (write_bright, (), "bright.tif: values from 3 to 3, and a picture's are in [0, 1]"),
        (spoil_nothing, ("--unit", "64x64"), "48×48 pixels are fewer than the unit's 64×64 (3 such files in all)"),
        (spoil_nothing, ("--unit", "46"), "A unit of 46×46 is not one that downsample:factor=4,kernel=bicubic takes"),
        (spoil_nothing, ("--unit", "big"), "is no size; write WIDTHxHEIGHT"),
        (spoil_nothing, ("--dial", "0,0.5"), "--dial 0,0.5: a certificate is for one position; give one"),
        (spoil_nothing, ("--dial", "vivid"), "is not a number in [0, 1]"),
        (spoil_nothing, ("--loss", "areas"), "did you mean 'area'"),
        (spoil_nothing, ("--loss", "sup", "--tau", "0.1"), "has no tau"),
        (spoil_nothing, ("--loss", "tile-mean", "--unit", "48"), "leave out the unit"),
        (spoil_nothing, ("--tau", "-1"), "out of range"),
        (spoil_nothing, ("--tau", "nan"), "out of range"),
        (spoil_nothing, ("--tile", "16"), "has no tile"),
        (spoil_nothing, ("--discrepancy", "pointwize"), "did you mean 'pointwise'"),
        (spoil_nothing, ("--score", "predicter"), "did you mean 'predictor'"),
        (spoil_nothing, ("--score", "perturbed"), "for --command"),
        (spoil_nothing, ("--score", "files"), "go together"),
        (spoil_nothing, ("--score-files", "maps/map.npy"), "put {stem}"),
        (spoil_nothing, ("--score-files", "nowhere/{stem}.npy"), "nowhere/00.npy does not exist"),
        (spoil_nothing, ("--score", "variance", "--samples", 1), "at least 2"),
        (spoil_nothing, ("--mode", "pack", "--delta", 0.1), "did you mean 'pac'"),
        (spoil_nothing, ("--mode", "pac"), "needs a delta between 0 and 1"),
        (spoil_nothing, ("--mode", "pac", "--delta", 1), "needs a delta between 0 and 1"),
        (spoil_nothing, ("--delta", 0.1), "--delta is of the modes"),
        (spoil_nothing, ("--mode", "pac-uniform", "--delta", 0.1), "needs every level beforehand"),
        (spoil_nothing, ("--alphas", "0.1"), "--alphas is of --mode pac-uniform"),
        (spoil_nothing, ("--leaked", 4), "4 leaked units among 3"),
        (spoil_nothing, ("--scale", 5), "it knows ×2, ×3, ×4"),
        (spoil_nothing, ("--seed", "1.9"), "--seed is '1.9', and a whole number is wanted"),
        (spoil_nothing, ("--leaked", "0.6"), "--leaked is '0.6', and a whole number is wanted"),
        (spoil_nothing, ("--tile", "16.5"), "--tile is '16.5', and a whole number is wanted"),
        (
            spoil_nothing,
            ("--mode", "pac-uniform", "--delta", 0.1, "--alphas", "0.1,1.5"),
            "A risk level of 1.5 promises nothing",
        ),
        (spoil_nothing, ("--scale", 2, "--operator", "downsample:factor=4"), "contradict"),
        (spoil_nothing, ("--operator", "sensing:ratio=0.5,seed=0"), "is no picture of 8 bits"),
        (spoil_nothing, ("--noise", "much"), "known: gaussian"),
        (spoil_nothing, ("--command", "tool {in} {out}"), "A prior and a command are two things"),
    ],
)
def test_calibrate(refused, few, output, spoil, options, words):
    spoil(few)
    assert words in refused("calibrate", few, *TINY, "--quiet", "-o", output, *options)
    assert not output.exists()


def test_calibrate_where_nothing_can_be_written(refused, few, output, tmp_path):
    output.write_text("mine")
    assert "exists already" in refused("calibrate", few, *TINY, "-o", output)
    assert output.read_text() == "mine"
    (tmp_path / "file").write_text("")
    assert "cannot be made" in refused("calibrate", few, *TINY, "--quiet", "-o", tmp_path / "file" / "c.json")
    assert "does not exist" in refused("calibrate", tmp_path / "none", *TINY, "-o", tmp_path / "c.json")


def test_calibrate_refuses_a_log_that_is_none(refused, few, output):
    output.with_name("certificate.json.part").write_bytes(b"\xff\xfe\x00")
    assert "delete it to start again" in refused("calibrate", few, *TINY, "--quiet", "-o", output)


COPY = "import shutil, sys; shutil.copy(*sys.argv[1:])"


@pytest.mark.parametrize(
    "script, options, words",
    [
        (COPY, (), "say --scale"),
        (COPY, ("--scale", 4), "wrote 12 × 12 pixels; 4 times 12 × 12 is 48 × 48"),
        ("pass", ("--scale", 4), "wrote nothing at {out}"),
        ("import time; time.sleep(30)", ("--scale", 4, "--timeout", 0.3), "did not finish within 0.3 s"),
        ("raise SystemExit('no model')", ("--scale", 4), "exit code 1; its last words: “no model”"),
        (COPY, ("--scale", 4, "--score", "predictor"), "choose perturbed, variance, gradient or files"),
        (COPY, ("--scale", 4, "--dial", "1"), "leave them out with a command"),
        (COPY, ("--scale", 4, "--sampler", "heun"), "leave them out with a command"),
        (COPY, ("--operator", "blur:kernel=gaussian,std=1"), "downsampling by an integer"),
    ],
)
def test_calibrate_a_tool(refused, few, output, tool, script, options, words):
    given = ("--score", "gradient", *options) if "--score" not in options else options
    assert words in refused("calibrate", few, "--command", tool(script), "--quiet", "-o", output, *given)
    assert not output.exists()


@pytest.mark.parametrize(
    "text, words",
    [
        ("tool {in}", "lacks {out}"),
        ("tool {out}", "lacks {in}"),
        ("tool {in} {out} {scale}", "holds {scale}"),
        ("tool {in} {out} | more", "no shell runs it"),
        ("no-such-tool {in} {out}", "is not found on the PATH"),
        ("", "The command is empty"),
    ],
)
def test_a_command_that_is_none(refused, place, few, cat, output, text, words):
    assert words in refused("calibrate", few, "--command", text, "--scale", 4, "--quiet", "-o", output)


# ---- certificates


def edited(document):
    document["binding"]["n"] = 1000


def of_another_version(document):
    document["version"] = 2


def of_another_protocol(document):
    document["binding"]["protocol"] = 2
    document["sha256"] = digest(document)


def of_nonsense(document):
    document["sizes"] = [1, 2, 3]
    document["sha256"] = digest(document)


@pytest.mark.parametrize(
    "edit, words",
    [
        (edited, "edited or damaged"),
        (of_another_version, "is of version 2; this library reads version 1"),
        (of_another_protocol, "measured by protocol 2, and this library measures by 1"),
        (of_nonsense, "is not valid"),
    ],
)
def test_a_certificate_that_was_changed(refused, place, cat, tmp_path, edit, words):
    document = json.loads((place / "area.json").read_text())
    edit(document)
    path = tmp_path / "changed.json"
    path.write_text(json.dumps(document))
    assert words in refused("restore", cat, *CPU, "--certificate", path)
    assert words in refused("evaluate", place / "other", *CPU, "--certificate", path)
    assert not list(tmp_path.glob("cat_x4*"))


@pytest.mark.parametrize(
    "content, words",
    [
        (lambda whole: whole[:1000], "is truncated or is no JSON"),
        (lambda whole: b"", "is truncated or is no JSON"),
        (lambda whole: pickle.dumps([1]), "is truncated or is no JSON"),
        (lambda whole: b'{"binding": 1}', "is no certificate of veriscale calibrate"),
    ],
)
def test_a_file_that_is_no_certificate(refused, place, cat, tmp_path, content, words):
    path = tmp_path / "none.json"
    path.write_bytes(content((place / "area.json").read_bytes()))
    assert words in refused("restore", cat, *CPU, "--certificate", path)


def test_a_certificate_that_is_not_there(refused, cat, tmp_path):
    assert "none.json cannot be read" in refused("restore", cat, *CPU, "--certificate", tmp_path / "none.json")
    assert "No certificate is called 'none'" in refused("restore", cat, *CPU, "--certificate", "none")
    assert "cannot be read" in refused("restore", cat, *CPU, "--certificate", f"{tmp_path}/")


# ---- restore


@pytest.mark.parametrize(
    "certificate, options, field",
    [
        ("variance", ("--dial", "0"), "for dial 0.5, and this is 0: add 0.5"),
        ("variance", ("--dial", "0,1"), "for dial 0.5, and this is 0, 1: add 0.5"),
        ("variance", ("--samples", 3), "for samples 2, and this is 3"),
        ("variance", ("--sampler", "dpm-solver++", "--steps", 8), "for sampler heun, and this is dpm-solver++"),
        ("variance", ("--steps", 8), "for steps 2, and this is 8"),
        ("variance", ("--path", "renoise"), "for path interpolate, and this is renoise"),
        ("variance", ("--seed", 1), "for seed 0, and this is 1"),
        ("area", ("--scale", 2), "for operator downsample:factor=4,kernel=bicubic, and this is downsample:factor=2"),
        ("area", ("--operator", "downsample:factor=3"), "for operator downsample:factor=4"),
        ("area", ("--noise", 0.02), "for noise gaussian:0, and this is gaussian:0.02"),
        ("area", ("--consistent",), "for consistent False, and this is True"),
        ("area", ("--anchor", "fast"), "needs a measurement that the prior's encoder knows"),
        ("area", ("--dial", "1"), "for dial 0, and this is 1: add 0"),
        ("area", ("--alpha", "0"), "cannot be kept"),
        ("area", ("--alpha", "-0.1"), "cannot be kept"),
        ("area", ("--alpha", "some"), "is not a finite number"),
        ("area", ("--alpha", "nan"), "is not a finite number"),
        ("area", ("--alpha", "1.5"), "A risk level of 1.5 promises nothing, since no loss is above 1; give a smaller"),
        ("area", ("--scale", 8), "--certificate is for what the prior's encoder knows, ×2, ×3, ×4, and ×8 is ×4, then"),
        ("area", ("--format", "jpeg"), "alters it; use .png"),
        ("area", ("-o", "out.jpg"), "alters it; use .png"),
        ("area", ("--crop", "0,0,8,12"), "this one would be 32×48; calibrate for that size with --unit 32x48"),
        ("area", ("--command", "tool {in} {out}"), "is not found on the PATH"),
        ("area", ("--score-files", "{stem}.npy"), "go together"),
        ("uniform", (), "alpha 0.05 was not declared; declare every alpha before calibration (declared: 0.3)"),
        ("uniform", ("--alpha", "0.2"), "alpha 0.2 was not declared"),
    ],
)
def test_what_contradicts_a_certificate_is_named(
    refused, place, cat, monkeypatch, tmp_path, certificate, options, field
):
    monkeypatch.chdir(tmp_path)
    assert field in refused("restore", cat, *CPU, "--certificate", place / f"{certificate}.json", *options)
    assert [p.name for p in tmp_path.iterdir()] == ["cat.png"]


def test_another_prior(refused, veriscale, place, cat, tmp_path, monkeypatch):
    (tmp_path / "priors").mkdir()
    other = write_tiny(tmp_path / "priors" / "other.safetensors", 1)
    grey = read_photo(cat)
    write_photo(grey.with_pixels(np.ascontiguousarray(grey.pixels[..., :1])), tmp_path / "grey.png")
    sentence = refused("restore", tmp_path / "grey.png", *CPU, "--certificate", place / "area.json", "--prior", other)
    assert "The certificate is for prior " in sentence
    assert "leave it to the certificate, or calibrate for it" in sentence
    monkeypatch.setenv("VERISCALE_PRIORS", str(tmp_path / "priors"))
    sentence = refused("restore", cat, *CPU, "--certificate", place / "area.json")
    assert "which is not installed; name its file with --prior" in sentence


def test_a_sidecar_that_says_otherwise(refused, veriscale, place, tmp_path):
    truth = next((place / "other").iterdir())
    area = ("--certificate", place / "area.json", *CPU)
    for name, options, words in (
        ("a", ("--operator", "downsample:factor=2"), "this is downsample:factor=2,kernel=bicubic"),
        ("b", ("--operator", "downsample:factor=4", "--noise", 0.02), "noise gaussian:0, and this is gaussian:0.02"),
    ):
        veriscale("degrade", truth, *options, "-o", tmp_path / f"{name}.png")
        assert words in refused("restore", tmp_path / f"{name}.png", *area)


def write_grey(photo, path):
    write_photo(Photo(np.ascontiguousarray(photo.pixels[..., :1])), path)


def write_deep(photo, path):
    write_photo(Photo(photo.pixels, bit_depth=16), path)


def write_glass(photo, path):
    write_photo(Photo(photo.pixels, np.full(photo.pixels.shape[:2], 0.5, np.float32)), path)


def write_large(photo, path):
    write_photo(Photo(np.tile(photo.pixels, (2, 3, 1))), path)


def write_low(photo, path):
    write_photo(Photo(photo.pixels[:10].copy()), path)


@pytest.mark.parametrize(
    "write, words",
    [
        (write_grey, "for RGB pictures and this one is grey"),
        (write_deep, "for measurements of 8 bits and this one has 16; convert it first"),
        (write_glass, "pictures without transparency; flatten this one first"),
        (write_large, "would be 144×96; restore a part with --crop 12,6,12,12, or calibrate with --loss tile-mean"),
        (write_low, "would be 48×40; calibrate for that size with --unit 48x40"),
    ],
)
def test_a_picture_that_is_not_the_unit(refused, place, cat, tmp_path, write, words):
    write(read_photo(cat), tmp_path / "odd.png")
    assert words in refused("restore", tmp_path / "odd.png", *CPU, "--certificate", place / "area.json")
    assert not list(tmp_path.glob("odd_x4*"))


def test_options_that_need_a_certificate(refused, cat):
    for options in (("--alpha", "0.1"), ("--command", "tool {in} {out}"), ("--score-files", "{stem}.npy")):
        assert "belong to a --certificate" in refused("restore", cat, *TINY, *options)


def test_a_level_above_every_loss_is_no_evaluation(refused, place):
    held = ("--certificate", place / "area.json", "--alpha", "0.1,1.5")
    assert "A risk level of 1.5 promises nothing" in refused("evaluate", place / "other", *CPU, *held)


def test_a_picture_for_evaluation_that_cannot_be_used(refused, place, tmp_path):
    write_photo(Photo(np.zeros((20, 20, 3), np.float32)), tmp_path / "small.png")
    sentence = refused("evaluate", tmp_path / "small.png", *CPU, "--certificate", place / "area.json")
    assert "20×20 pixels are fewer than the unit's 48×48" in sentence
