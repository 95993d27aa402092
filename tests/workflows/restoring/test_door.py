"""Python's way in: arguments become settings, a tool is restored with as a prior is."""

import importlib.resources
import inspect
import re
from dataclasses import fields
from typing import get_type_hints

import numpy as np
import pytest
import torch
from PIL import Image
from tests.conftest import RESIZE
from tests.workflows.photographs import write_crops, write_measurement

import veriscale
from veriscale.errors import InputError
from veriscale.imaging.photo import Photo
from veriscale.imaging.read import read_photo
from veriscale.physics.measurement_noise import GaussianNoise
from veriscale.physics.registry import parse_operator
from veriscale.settings import Asked, Settings
from veriscale.workflows.batch_door import restore_files
from veriscale.workflows.certifying.calibration import calibrate
from veriscale.workflows.certifying.trust_evaluation import evaluate_certificate
from veriscale.workflows.image import as_photo
from veriscale.workflows.restoring.door import as_settings, restore
from veriscale.workflows.restoring.evaluation import evaluate
from veriscale.workflows.restoring.reporting import report_html

# ---- what can be asked


def _own(door):
    """The parameters that a door names itself, whatever its help shows."""
    code = door.__code__
    return code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]


def test_python_takes_every_setting_by_its_name():
    # The prior and the certificate are arguments of their own, since they may be objects.
    assert set(get_type_hints(Asked)) == {f.name for f in fields(Settings)} - {"prior", "certificate"}
    for door in (restore, restore_files, evaluate, calibrate, evaluate_certificate):
        assert "prior" in inspect.signature(door).parameters
        assert not set(_own(door)) & set(get_type_hints(Asked)), door.__name__


def test_arguments_become_strings_and_numbers():
    asked = {
        "operator": parse_operator("inpaint:keep=0.5"),
        "noise": GaussianNoise(0.02),
        "dial": [1, 0, 0.5],
        "alpha": 0.1,
        "seed": 3,
        "steps": None,
    }
    expected = {"operator": "inpaint:keep=0.5,seed=0", "noise": "gaussian:0.02", "dial": "1,0,0.5", "alpha": "0.1"}
    assert as_settings(asked).said == {**expected, "seed": 3}
    assert as_settings({}) == Settings()
    assert as_settings({"noise": 0, "dial": 0.25}).said == {"noise": "0", "dial": "0.25"}
    assert as_settings({"dial": "0,1"}).dial == "0,1"


@pytest.mark.parametrize("dial", [1.5, [0, -0.1], [], float("nan")])
def test_a_dial_that_is_none_is_refused(dial):
    with pytest.raises(InputError, match=r"outside|No dial position"):
        as_settings({"dial": dial})


def test_an_argument_that_is_none_is_a_type_error(tiny, noise_picture, tmp_path):
    with pytest.raises(TypeError, match="scal"):
        restore(noise_picture, tiny, scal=2)
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(tmp_path / "a.png")
    for door in (restore_files, evaluate):
        with pytest.raises(TypeError, match="sampels"):
            door(tmp_path / "a.png", prior=tiny, sampels=2)
    with pytest.raises(TypeError, match="comand"):
        calibrate(tmp_path, tmp_path / "c.json", prior=tiny, comand="tool {in} {out}")
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_a_picture_is_a_file_an_array_or_itself(noise_picture, tmp_path):
    photo = as_photo(noise_picture)
    assert np.array_equal(photo.pixels, noise_picture)
    assert as_photo(photo) is photo
    Image.fromarray(np.arange(192, dtype=np.uint8).reshape(8, 8, 3)).save(tmp_path / "a.png")
    for name in (tmp_path / "a.png", str(tmp_path / "a.png")):
        assert np.array_equal(as_photo(name).pixels, read_photo(tmp_path / "a.png").pixels)
    with pytest.raises(InputError, match="image: it holds NaN"):
        as_photo(np.full((8, 8), np.nan, np.float32))


# ---- a part of a picture


def test_a_part_is_restored_as_if_it_were_the_picture(tiny, cat, tmp_path):
    part = restore(cat, tiny, crop="4,2,16,10", dial=[0, 1], sampler="heun", steps=2)
    alone = restore(cat.cut("4,2,16,10", "cat"), tiny, dial=[0, 1], sampler="heun", steps=2)
    assert part.image.pixels.shape == (40, 64, 3)
    for f in (0, 1):
        assert np.array_equal(part.images[f].pixels, alone.images[f].pixels)
    assert np.array_equal(part.measurement.pixels, cat.pixels[2:12, 4:20])


def test_a_part_that_is_none_is_an_argument_that_is_named(tiny, cat):
    with pytest.raises(InputError, match=r"^crop 40,2,16,10 is not X,Y,W,H inside the 48×42 pixels of the picture\.$"):
        restore(cat, tiny, crop="40,2,16,10")
    with pytest.raises(InputError, match=r"^crop does not go with inpaint:keep=0\.5,seed=0, whose holes"):
        restore(cat, tiny, crop="0,0,16,16", operator="inpaint:keep=0.5")


# ---- somebody's tool

NOISY = (
    RESIZE
    + """
import os
if os.path.exists("busy"): sys.exit("no luck")
"""
)


@pytest.fixture
def certified(few, output, tool):
    """A tool's command and a certificate of it."""
    command = tool(NOISY)
    return command, calibrate(few, output, command=command, scale=4, score="gradient:std=1,smooth=1")


@pytest.fixture
def measured(skimage_data, tmp_path):
    (truth,) = write_crops(tmp_path / "other", skimage_data, 1, seed=1)
    return write_measurement(truth, tmp_path / "y.png")


def test_a_tool_restores_under_its_certificate(certified, output, measured):
    command, made = certified
    result = restore(measured, command=command, certificate=made, alpha=0.15)
    small = Image.open(measured)
    expected = np.asarray(small.resize((48, 48), Image.BICUBIC), np.float32) / np.float32(255)
    assert np.array_equal(result.image.pixels, expected)
    assert np.array_equal(result.trusted, result.score < made.threshold("0.15"))
    assert 0 < result.trusted.mean() < 1
    assert result.run["mode"] == "tool"
    assert result.run["certificate"]["alpha"] == "0.15"
    by_file = restore(read_photo(measured), command=command, certificate=output, alpha="0.15", crop="0,0,12,12")
    assert np.array_equal(by_file.trusted, result.trusted)


def test_a_tool_is_refused_in_pythons_words(certified, tiny, measured, few, tmp_path):
    command, made = certified
    with pytest.raises(InputError, match=r"^alpha, command and score_files belong to a certificate, and none is given"):
        restore(measured, command=command)
    with pytest.raises(InputError, match=r"for the tool '.*'; if you trust it, give it as command\.$"):
        restore(measured, certificate=made)
    with pytest.raises(InputError, match=r"^dial does not go with command, which runs as it was calibrated"):
        restore(measured, command=command, certificate=made, dial=1)
    with pytest.raises(InputError, match=r"^timeout is the seconds that a command may take"):
        restore(measured, tiny, timeout=3)
    with pytest.raises(InputError, match="The certificate is for command "):
        restore(measured, command=f"{command} --more", certificate=made)
    area = calibrate(few, tmp_path / "area.json", prior=tiny)
    with pytest.raises(InputError, match=r"for a prior and not for a tool; leave out command\.$"):
        restore(measured, command=command, certificate=area)


def test_a_tool_that_fails_is_one_sentence(certified, measured, tmp_path, monkeypatch):
    command, made = certified
    monkeypatch.chdir(tmp_path)
    (tmp_path / "busy").touch()
    with pytest.raises(InputError, match=r"^The tool failed: The tool ended with exit code 1.*no luck"):
        restore(measured, command=command, certificate=made)


def test_everything_of_the_house_is_reached_by_its_name():
    assert set(veriscale.__all__) <= set(dir(veriscale))
    for name in veriscale.__all__:
        assert getattr(veriscale, name).__name__ == name
    assert veriscale.restore is restore
    assert veriscale.Photo is Photo
    with pytest.raises(AttributeError, match="no attribute 'restor'"):
        veriscale.restor  # noqa: B018


@pytest.mark.parametrize("name", ["restore", "restore_files"])
def test_help_shows_every_setting(name):
    function = getattr(veriscale, name)
    assert set(Asked.__annotations__) <= set(inspect.signature(function).parameters)
    assert "asked" not in inspect.signature(function).parameters
    assert "        dial: 0 is closest on average, 1 looks real" in function.__doc__


# ---- what Python's users hold


@pytest.mark.parametrize("kind", [np.uint8, np.float32, np.float64])
def test_a_tensor_is_the_array_it_holds(noise_picture, kind):
    stored = (255 * noise_picture).astype(kind) if kind is np.uint8 else noise_picture.astype(kind)
    expected = as_photo(stored)
    planes = torch.from_numpy(stored.transpose(2, 0, 1).copy())
    for tensor in (planes, planes[None], planes.clone().requires_grad_(kind is not np.uint8)):
        assert np.array_equal(as_photo(tensor).pixels, expected.pixels)
        assert as_photo(tensor).bit_depth == expected.bit_depth
    assert np.array_equal(as_photo(planes[0]).pixels, expected.pixels[..., :1])


@pytest.mark.parametrize("shape", [(2, 3, 8, 8), (8, 8, 3), (8,)])
def test_a_tensor_that_is_no_picture_is_named(shape):
    with pytest.raises(InputError, match=r"known: \(H, W\), \(C, H, W\) and \(1, C, H, W\)"):
        as_photo(torch.zeros(shape))


def test_what_is_no_picture_at_all_is_named():
    with pytest.raises(
        InputError, match=r"^image is a list; give a file, an array, a tensor, a picture of Pillow's, or of a scan"
    ):
        as_photo([[0.0, 1.0]])


def test_pillows_picture_is_restored(tiny, noise_picture):
    image = Image.fromarray((255 * noise_picture).astype(np.uint8))
    by_array = restore(np.asarray(image), tiny, scale="2").image
    assert np.array_equal(restore(image, tiny, scale=2.0).image.pixels, by_array.pixels)


def test_the_first_picture_is_the_first_that_is_asked_for(tiny, cat, tmp_path):
    quick = {"sampler": "heun", "steps": 2, "samples": 2}
    forth, back = (restore(cat, tiny, dial=dial, **quick) for dial in ([0, 1], [1, 0]))
    assert (list(forth.images), list(back.images)) == ([0.0, 1.0], [1.0, 0.0])
    assert np.array_equal(back.image.pixels, forth.images[1.0].pixels)
    assert list(restore(cat, tiny, dial="1,0,1", **quick).images) == [1.0, 0.0]
    files = [[p.name for p in made.save(tmp_path / name)] for name, made in (("forth", forth), ("back", back))]
    assert files[0] == files[1]
    for name in files[0]:
        if not name.endswith("json"):
            assert (tmp_path / "forth" / name).read_bytes() == (tmp_path / "back" / name).read_bytes()
    assert forth.run["dial"] == back.run["dial"] == [0.0, 1.0]
    pages = [re.sub("[\\d.]+ s", "", report_html(made, "cat")) for made in (forth, back)]
    assert pages[0] == pages[1]  # the slider goes from 0 to 1


def test_a_device_is_a_string_or_torchs_and_of_a_loaded_prior_its_own(tiny, tiny_file, noise_picture):
    for prior in (tiny, tiny_file):
        for device in ("cpu", torch.device("cpu")):
            assert restore(noise_picture, prior, device=device).run["device"] == "cpu"
    with pytest.raises(InputError, match="Unknown device 'gpu'"):
        restore(noise_picture, tiny, device="gpu")


def test_a_loaded_prior_is_not_moved(tiny, noise_picture, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with pytest.raises(InputError, match=r"^The prior is loaded on cpu; load it with load_prior\(name, 'cuda'\)\.$"):
        restore(noise_picture, tiny, device="cuda")


def test_a_restoration_shows_itself(tiny, cat, few, output):
    page = restore(cat, tiny, dial=[1, 0], sampler="heun", steps=2)._repr_html_()
    assert re.findall("<figcaption>(.*?)</figcaption>", page) == ["dial 1", "dial 0"]
    assert page.count('src="data:image/png;base64,') == 2
    measured = write_measurement(sorted(few.iterdir())[0], output.parent / "y.png")
    masked = restore(measured, tiny, certificate=calibrate(few, output, prior=tiny), alpha=0.3)
    assert "trusted at alpha 0.3</figcaption>" in masked._repr_html_()


def test_types_come_with_the_package():
    assert importlib.resources.files("veriscale").joinpath("py.typed").is_file()
