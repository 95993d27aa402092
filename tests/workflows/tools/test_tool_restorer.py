"""Calibration and use of anybody's tool."""

import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms
from tests.conftest import RESIZE
from tests.workflows.measured import assert_equal_units, log_of
from tests.workflows.photographs import write_measurement

import veriscale
from veriscale.errors import InputError
from veriscale.imaging.photo import Photo
from veriscale.imaging.read import read_photo
from veriscale.imaging.write import write_photo
from veriscale.settings import Settings, settled
from veriscale.trust.losses.registry import make_loss, staircase
from veriscale.trust.perturbations import PERTURBATIONS
from veriscale.trust.scores.gradient import gradient
from veriscale.trust.scores.variance import variance
from veriscale.trust.smoothing import smoothed
from veriscale.workflows.certifying.calibration import calibrate
from veriscale.workflows.tools.tool_restorer import ToolRestorer, certified_tool

NOISY = """
import os, sys
from PIL import Image, ImageChops
picture = Image.open(sys.argv[1])
large = picture.resize((4 * picture.width, 4 * picture.height), Image.BICUBIC)
grain = Image.frombytes(large.mode, large.size, os.urandom(3 * large.width * large.height)).point(lambda v: v // 16)
ImageChops.add(large, grain).save(sys.argv[2])
"""
FLAKY = """
import sys, time
from PIL import Image
picture = Image.open(sys.argv[1])
kind = picture.getpixel((0, 0))[0] % 4
if kind == 0:
    sys.exit("no model found")
if kind == 1:
    time.sleep(30)
size = (4 * picture.width, 4 * picture.height - (kind == 2))
picture.resize(size).save(sys.argv[2])
"""


def resized(samples):
    picture = Image.fromarray(np.rint(samples * 255).astype(np.uint8))
    large = picture.resize((4 * picture.width, 4 * picture.height), Image.BICUBIC)
    return np.asarray(large, np.float32) / np.float32(255)


def test_a_tool_is_measured_as_it_is(few, output, tmp_path, tool):
    command = tool(RESIZE)
    made = calibrate(few, output, command=command, scale=4, score="gradient:std=2,smooth=1", loss="sup")
    facts = made.binding.restoration.given()
    assert (facts["command"], facts["scale"], facts["noise"]) == (command, 4, "gaussian:0")
    assert "dial" not in facts
    for k, file in enumerate(sorted(few.iterdir())):
        x = read_photo(file).pixels
        image = resized(read_photo(write_measurement(file, tmp_path / file.name)).pixels)
        maps = smoothed(gradient(image, 2.0), 1.0), np.abs(image - x).max(axis=2)
        assert_equal_units(made.staircases[k : k + 1], [staircase(make_loss("sup"), [maps], 1.0)])


def test_a_tool_that_always_answers_the_same_is_asked_differently(few, output, tmp_path, tool):
    for f in sorted(few.iterdir())[2:]:
        f.unlink()
    made = calibrate(few, output, command=tool(RESIZE), scale=4, score="perturbed:smooth=2")
    assert made.binding.restoration.perturbations == [p.name for p in PERTURBATIONS]
    file = few / "01.png"
    y = read_photo(write_measurement(file, tmp_path / file.name)).pixels
    image = resized(y)
    undone = [image, *(p.undo(resized(p.apply(y)), image, 4) for p in PERTURBATIONS)]
    maps = smoothed(variance(undone), 2.0), np.abs(image - read_photo(file).pixels).max(axis=2)
    assert_equal_units(made.staircases[1:], [staircase(make_loss("area"), [maps], 1.0)])


def test_a_tool_that_never_answers_the_same_is_asked_again(few, output, tool, monkeypatch):
    for f in sorted(few.iterdir())[2:]:
        f.unlink()
    made = calibrate(few, output, command=tool(NOISY), scale=4, score="variance", samples=3)
    assert made.binding.restoration.samples == 3
    noise = np.sqrt(made.quantiles / 3)  # per channel; uniform over 16 steps of 255
    assert np.median(noise) == pytest.approx(16 / np.sqrt(12) / 255, rel=0.3)
    told = []
    with pytest.raises(InputError, match=r"the same picture every time .*choose score gradient or perturbed"):
        calibrate(few, output, command=tool(RESIZE), scale=4, score="variance", samples=2, force=True, tell=told.append)
    assert told[2:] == [f"0{k}.png: the runs are equal, so that its score is 0 everywhere." for k in range(2)]
    assert not log_of(output).exists()


def test_a_tool_that_repeats_itself_on_a_flat_picture_has_no_variance_there(few, output, tmp_path, tool):
    for f in sorted(few.iterdir())[2:]:
        f.unlink()
    write_photo(Photo(np.full((48, 48, 3), 0.5, np.float32)), few / "00.png", force=True)
    command = tool(NOISY.replace("ImageChops.add(", "(lambda a, b: a if a.getextrema()[0][0] == 128 else "
                                 "ImageChops.add(a, b))("))  # fmt: skip
    made = calibrate(few, output, command=command, scale=4, score="variance", samples=2)
    assert made.binding.n == 2
    assert not made.quantiles[0].any()
    assert np.median(made.quantiles[1]) > 0
    y = write_measurement(few / "00.png", tmp_path / "y.png")
    result = certified_tool(settled(Settings(command=command)), made).prepare(read_photo(y)).restore()
    assert not result.score.any()


def test_failures_are_told_and_stop_nothing(skimage_data, tmp_path, output, tool):
    # One picture of each kind that the tool takes differently, by its first pixel, and a fifth.
    folder = tmp_path / "in"
    folder.mkdir()
    for k, first in enumerate((100, 101, 102, 103, 107)):
        write_photo(Photo(np.full((32, 32, 3), first / 255, np.float32)), folder / f"{k}.png")
    told = []
    made = calibrate(folder, output, command=tool(FLAKY), scale=4, score="gradient", timeout=1.5, tell=told.append)
    assert made.binding.n == 2
    assert made.information["failed"].keys() == {"0.png", "1.png", "2.png"}
    assert "is an interpreter: a certificate binds it and" in told[0]
    assert told[2:] == list(made.information["failed"].values())
    for sentence, words in zip(
        told[2:], ["no model found", "did not finish within 1.5 s", "wrote 32 × 31 pixels"], strict=True
    ):
        assert words in sentence
    read = veriscale.read_certificate(output)
    assert len(read.staircases) == len(read.statistics) == 2
    assert read.information["files"].keys() == {f"{k}.png" for k in range(5)}


def test_failures_may_leave_fewer_than_may_have_leaked(tmp_path, output, tool):
    folder = tmp_path / "in"
    folder.mkdir()
    for k, first in enumerate((100, 104, 108, 103)):
        write_photo(Photo(np.full((32, 32, 3), first / 255, np.float32)), folder / f"{k}.png")
    with pytest.raises(InputError, match="2 leaked units among 1"):
        calibrate(folder, output, command=tool(FLAKY), scale=4, score="gradient", leaked=2)
    assert not output.exists()


@pytest.mark.parametrize(
    "script, words",
    [
        ("import sys; sys.exit('out of luck')", "last words: “out of luck”"),
        ("pass", r"wrote nothing at \{out\}"),
        ("import time; time.sleep(30)", "did not finish within 0.5 s"),
        ("import shutil, sys; shutil.copy(*sys.argv[1:])", "wrote 12 × 12 pixels; 4 times 12 × 12 is 48 × 48"),
    ],
)
def test_a_tool_that_always_fails_has_no_certificate(few, tmp_path, tool, script, words):
    for f in sorted(few.iterdir())[2:]:
        f.unlink()
    output = tmp_path / "new" / "certificate.json"
    with pytest.raises(InputError, match=f"^The tool failed on every picture, the first time so: 00.png: .*{words}"):
        calibrate(few, output, command=tool(script), scale=4, score="gradient", timeout=0.5)
    assert not output.parent.exists()


def test_a_tool_is_resumed_and_has_one_try_at_each_picture(few, tmp_path, output, tool, monkeypatch):
    command = tool(RESIZE.replace("picture =", "import os\nif os.path.exists('busy'): sys.exit('busy')\npicture ="))
    monkeypatch.chdir(tmp_path)
    runs, prepare = [], ToolRestorer.prepare

    def counted(self, photo, path=None, stem=None):
        if stem is not None:
            runs.append(stem)
            if len(runs) == 5:
                raise KeyboardInterrupt
            if len(runs) == 3:
                Path("busy").touch()
        return prepare(self, photo, path, stem)

    monkeypatch.setattr(ToolRestorer, "prepare", counted)
    settings = {"command": command, "scale": 4, "score": "gradient"}
    with pytest.raises(KeyboardInterrupt):
        calibrate(few, output, **settings)
    Path("busy").unlink()
    with pytest.raises(InputError, match="other settings"):
        calibrate(few, output, **settings, timeout=5)
    told = []
    made = calibrate(few, output, **settings, tell=told.append)
    assert runs[5:] == ["04", "05"]
    assert (made.binding.n, list(made.information["failed"])) == (4, ["02.png", "03.png"])
    assert [line[:8] for line in told[2:]] == ["02.png: ", "03.png: "]
    whole = tmp_path / "whole.json"
    assert calibrate(few, whole, **settings).binding.n == 6


def test_the_time_that_a_tool_had_is_what_it_has_in_use(few, output, tool):
    for f in sorted(few.iterdir())[1:]:
        f.unlink()
    command = tool(RESIZE)
    made = calibrate(few, output, command=command, scale=4, timeout=90)
    assert certified_tool(settled(Settings(command=command)), made).timeout == 90
    assert certified_tool(settled(Settings(command=command, timeout=5)), made).timeout == 5


def test_grey_pictures_of_a_tool(few, output, tmp_path, tool):
    for f in few.iterdir():
        write_photo(Photo(read_photo(f).pixels[..., :1]), f, force=True)
    command = tool(RESIZE)
    made = calibrate(few, output, command=command, scale=4)
    assert (made.binding.n, made.binding.unit.colour) == (6, "grey")
    y = read_photo(write_measurement(few / "00.png", tmp_path / "y.png"))
    use = certified_tool(settled(Settings(command=command)), made)
    assert use.prepare(y).restore().trusted.shape == (48, 48)
    with pytest.raises(InputError, match="for grey pictures and this one is RGB"):
        use.prepare(Photo(y.pixels.repeat(3, axis=2)))


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"command": "python x.py {in}", "scale": 4}, r"lacks \{out\}"),
        ({"command": "no-such-program {in} {out}", "scale": 4}, "not found on the PATH"),
        ({}, "say scale"),
        ({"operator": "blur:kernel=gaussian,std=1"}, "downsampling by an integer"),
        ({"scale": 4, "score": "predictor"}, "choose perturbed, variance, gradient or files"),
        ({"scale": 4, "score": "variance", "samples": 1}, "at least 2 runs"),
        ({"scale": 4, "timeout": 0}, "lets no tool finish"),
        ({"scale": 4, "dial": 0.5}, "leave them out with a command"),
        ({"scale": 4, "sampler": "heun"}, "leave them out with a command"),
    ],
)
def test_a_tools_settings(few, output, tool, settings, words):
    with pytest.raises(InputError, match=words):
        calibrate(few, output, **{"command": tool(RESIZE), **settings})
    assert not log_of(output).exists()


def test_a_tool_sees_no_profile_in_calibration_nor_in_use(few, output, tmp_path):
    heeds = tmp_path / "heeds.py"
    heeds.write_text(
        RESIZE.replace(".resize(", ".point(lambda v: 255 - v if picture.info.get('icc_profile') else v).resize(")
    )
    command = f"{shlex.quote(sys.executable)} {heeds} {{in}} {{out}}"
    made = calibrate(few, output, command=command, scale=4)
    y = read_photo(few / "00.png")
    y = Photo(y.pixels[:12, :12], icc=ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    result = certified_tool(settled(Settings(command=command)), made).prepare(y).restore()
    assert abs(result.image.pixels - y.pixels.repeat(4, 0).repeat(4, 1)).mean() < 0.1
    assert result.image.icc == y.icc
