"""NPY: arrays that are pictures, and those that are none."""

from pathlib import Path

import numpy as np
import pytest

from veriscale.errors import InputError
from veriscale.imaging.read import read_photo


def refused(path: Path, reason: str, **kwargs: int) -> None:
    with pytest.raises(InputError, match=reason) as caught:
        read_photo(path, **kwargs)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1), (5, 7, 2), (5, 7, 3), (5, 7, 4)])
@pytest.mark.parametrize("dtype", ["u1", "<u2", ">u2", "<f4", ">f4", "f8", "f2"])
def test_npy_kinds(tmp_path, shape, dtype):
    array = (np.random.default_rng(3).random(shape) * (200 if dtype[-2] == "u" else 1)).astype(dtype)
    np.save(tmp_path / "a.npy", np.asfortranarray(array))
    photo = read_photo(tmp_path / "a.npy")
    top = np.iinfo(array.dtype).max if array.dtype.kind == "u" else 1
    whole = photo.pixels if photo.alpha is None else np.dstack([photo.pixels, photo.alpha])
    np.testing.assert_allclose(whole, array.reshape(5, 7, -1).astype(np.float64) / top, atol=1e-7)
    assert photo.bit_depth == (32 if top == 1 else 8 * array.itemsize)
    assert photo.pixels.dtype == np.float32


@pytest.mark.parametrize(
    "array, reason",
    [
        (np.zeros((5, 7), np.int32), "type int32"),
        (np.zeros((5, 7), bool), "type bool"),
        (np.zeros((5, 7), complex), "type complex128"),
        (np.array([[{}]], object), "type object"),
        (np.zeros((3, 50, 70), np.uint8), "shape"),
        (np.zeros(9, np.uint8), "shape"),
        (np.zeros((), np.uint8), "shape"),
        (np.zeros((0, 7), np.uint8), "no pixels"),
        (np.zeros((5, 7, 0), np.uint8), "shape"),
        (np.full((5, 7), 1e300), "infinite"),
    ],
)
def test_npy_of_other_kinds_is_refused(tmp_path, array, reason):
    np.save(tmp_path / "a.npy", array)
    refused(tmp_path / "a.npy", reason)


def test_float_files_keep_values_outside_zero_and_one(tmp_path):
    array = np.array([[-3.5, 7.25]], np.float32)
    np.save(tmp_path / "a.npy", array)
    np.testing.assert_array_equal(read_photo(tmp_path / "a.npy").pixels[..., 0], array)
