"""What Python's doors take beside settings: one sentence about what is of another kind."""

import numpy as np
import pytest
import torch

import veriscale
from veriscale.errors import InputError


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "x.png"
    veriscale.write_photo(veriscale.Photo(np.random.default_rng(0).random((16, 16, 3), np.float32)), path)
    return path


@pytest.mark.parametrize("prior", [torch.nn.Conv2d(3, 3, 3), torch.nn.ModuleList(), lambda x, sigma: x, 5, 0, True])
def test_a_prior_that_is_none_is_refused_by_every_door(picture, tmp_path, prior):
    calls = (
        lambda: veriscale.restore(picture, prior, scale=2),
        lambda: veriscale.restore_files(picture, tmp_path / "out", prior, scale=2),
        lambda: veriscale.calibrate(tmp_path, tmp_path / "c.json", prior=prior, scale=2),
        lambda: veriscale.evaluate(picture, prior, scale=2),
        lambda: veriscale.evaluate_certificate(picture, "photo_x4_dial-0_area", prior),
        lambda: veriscale.load_prior(prior),
        lambda: veriscale.open_restorer(veriscale.Settings(), prior=prior),
        lambda: veriscale.measure_prior(prior, tmp_path, tmp_path / "card.json"),
    )
    for call in calls:
        with pytest.raises(InputError, match=r"prior_from.*, not .*wrap it with prior_from\."):
            call()
    assert [p.name for p in tmp_path.iterdir()] == ["x.png"]


@pytest.mark.parametrize(
    "asked, words",
    [
        ({"tile": "many"}, "tile is 'many', and a whole number is wanted"),
        ({"tile": 0}, "tile is 0, and a whole number from 1 on"),
        ({"tile": None}, "tile is None, and a whole number"),
        ({"batch": "two"}, "batch is 'two', and a whole number"),
        ({"batch": 0}, "batch is 0, and a whole number from 1 on"),
        ({"batch": 1.5}, "batch is 1.5, and a whole number"),
        ({"progress": 3}, "progress is 3, and a function is wanted"),
        ({"certificate": 5}, "certificate is 5, and the name of a file or folder is wanted"),
    ],
)
def test_arguments_of_restore(picture, asked, words):
    with pytest.raises(InputError, match=f"^{words}"):
        veriscale.restore(picture, scale=2, samples=2, **asked)


def test_a_tile_may_come_as_a_string(picture):
    results = [veriscale.restore(picture, scale=2, tile=tile, batch=tile).image.pixels for tile in (8, "8")]
    assert np.array_equal(*results)


@pytest.mark.parametrize(
    "tensor, words",
    [
        (torch.rand(16, 16).to_sparse(), "sparse"),
        (torch.rand(3, 16, 16, device="meta"), "meta"),
    ],
)
def test_a_tensor_without_pixels_is_refused(tensor, words):
    with pytest.raises(InputError, match=f"image: a {words} tensor has no pixels that can be read; give a dense one"):
        veriscale.restore(tensor, scale=2)


def test_names_that_are_none(picture, tmp_path):
    certificate = "photo_x4_dial-0_area"
    calls = {
        "inputs is None": lambda: veriscale.restore_files([picture, None], scale=2),
        "inputs is 5": lambda: veriscale.restore_files(5, scale=2),
        "output is 5": lambda: veriscale.restore_files(picture, 5, scale=2),
        "repeat is 5": lambda: veriscale.restore_files(picture, repeat=5, scale=2),
        "certificate is 5": lambda: veriscale.restore_files(picture, certificate=5),
        "pictures is None": lambda: veriscale.evaluate(None, scale=2),
        "pictures is 7": lambda: veriscale.evaluate_certificate([picture, 7], certificate),
        "certificate is None": lambda: veriscale.evaluate_certificate(picture, None),
        "directory is 3": lambda: veriscale.calibrate(3, tmp_path / "c.json", scale=2),
        "output is None": lambda: veriscale.calibrate(tmp_path, None, prior="photo", scale=2),
    }
    for words, call in calls.items():
        with pytest.raises(InputError, match=f"^{words}, and the name of a file or folder is wanted"):
            call()


def test_functions_that_are_none(picture, tmp_path):
    for call in (
        lambda: veriscale.restore_files(picture, progress=1),
        lambda: veriscale.evaluate(picture, progress=1),
        lambda: veriscale.evaluate_certificate(picture, "photo_x4_dial-0_area", progress=1),
        lambda: veriscale.calibrate(tmp_path, tmp_path / "c.json", progress=1),
    ):
        with pytest.raises(InputError, match=r"^progress is 1, and a function is wanted\."):
            call()


@pytest.mark.parametrize(
    "operator, kind", [(lambda x: x, "a function"), (torch.nn.Conv2d(3, 3, 3), "a Conv2d"), (5, 5)]
)
def test_a_function_is_no_operator_by_itself(picture, tmp_path, operator, kind):
    calls = (
        lambda: veriscale.restore(picture, operator=operator),
        lambda: veriscale.restore_files(picture, operator=operator),
        lambda: veriscale.calibrate(tmp_path, tmp_path / "c.json", operator=operator),
        lambda: veriscale.evaluate_certificate(picture, "photo_x4_dial-0_area", operator=operator),
        lambda: veriscale.degrade(veriscale.read_photo(picture), operator),
    )
    for call in calls:
        with pytest.raises(
            InputError, match=f"^operator is {kind}, and a string or .* wanted; operator_from makes one"
        ):
            call()
