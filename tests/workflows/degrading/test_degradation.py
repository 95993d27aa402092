"""Measurements of a photograph, as `degrade` makes them."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from veriscale.errors import InputError
from veriscale.imaging.write import write_photo
from veriscale.workflows.degrading.degradation import degrade


def test_coefficients_are_measured_as_floats(cat):
    for operator in ("sensing:ratio=0.5", "fourier:accel=4"):
        y = degrade(cat, operator)
        assert (y.bit_depth, y.format, y.icc) == (32, "npy", None)
        assert y.pixels.min() < 0
    with pytest.raises(InputError, match="use gaussian"):
        degrade(cat, "sensing:ratio=0.5", "poisson:peak=30")
    with pytest.raises(InputError, match="flatten"):
        degrade(cat.with_pixels(cat.pixels, np.ones(cat.pixels.shape[:2], np.float32)), "fourier:accel=4")


def test_unmeasured_pixels_hold_no_noise(cat):
    y = degrade(cat, "inpaint:keep=0.5,seed=3", 0.1)
    assert float((y.pixels == 0).all(2).mean()) == pytest.approx(0.5, abs=0.05)


def test_jpeg_is_degraded_by_the_real_codec(cat):
    stored = Image.fromarray(np.rint(cat.pixels * 255).astype(np.uint8))
    stream = io.BytesIO()
    stored.save(stream, "JPEG", quality=40, subsampling="4:2:0")
    expected = np.asarray(Image.open(stream), np.float32) / 255
    np.testing.assert_allclose(degrade(cat, "jpeg:quality=40").pixels, expected, atol=1e-6)


def test_it_takes_what_restore_takes(cat, tmp_path):
    stored = np.rint(cat.pixels * 255).astype(np.uint8)
    write_photo(cat, tmp_path / "cat.png")
    expected = degrade(cat, "downsample:factor=2").pixels
    for image in (
        tmp_path / "cat.png",
        str(tmp_path / "cat.png"),
        stored,
        torch.from_numpy(stored).permute(2, 0, 1),
        Image.fromarray(stored),
    ):
        np.testing.assert_allclose(degrade(image, "downsample:factor=2").pixels, expected, atol=1e-6)
    with pytest.raises(InputError, match="image is a list"):
        degrade([[0.0]], "downsample:factor=2")
