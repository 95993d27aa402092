"""PSNR and SSIM against scikit-image, and the conventions of the published tables."""

import math

import numpy as np
import pytest
from skimage import data
from skimage.metrics import structural_similarity

from veriscale.errors import InputError
from veriscale.metrics.distortion import mse, psnr_luma, psnr_rgb, ssim_luma


@pytest.fixture(scope="module")
def truth():
    return data.astronaut()[100:221, 150:247].astype(np.float32) / 255


@pytest.fixture(scope="module")
def noisy(truth):
    return truth + np.random.default_rng(0).normal(0, 0.05, truth.shape).astype(np.float32)


def luma_8_bits(samples):
    rgb = np.rint(np.clip(samples.astype(np.float64), 0, 1) * 255) / 255
    return np.rint(rgb @ [65.481, 128.553, 24.966] + 16)


def test_psnr_of_a_constant_error_is_its_definition():
    grey = np.full((20, 30, 3), 100 / 255)
    assert psnr_rgb(grey + 5 / 255, grey, 4) == pytest.approx(20 * math.log10(255 / 5))


def test_psnr_luma_is_that_of_the_rounded_luma(truth, noisy):
    error = (luma_8_bits(noisy) - luma_8_bits(truth))[4:-4, 4:-4]
    assert psnr_luma(noisy, truth, 4) == pytest.approx(10 * math.log10(255**2 / np.mean(error**2)), abs=1e-9)


def test_ssim_is_the_one_of_scikit_image(truth, noisy):
    x, y = (luma_8_bits(samples)[3:-3, 3:-3] for samples in (noisy, truth))
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    assert ssim_luma(noisy, truth, 3) == pytest.approx(structural_similarity(x, y, **options), abs=1e-9)
    without_gaussian = structural_similarity(x, y, data_range=255)
    assert abs(ssim_luma(noisy, truth, 3) - without_gaussian) > 1e-3


def test_the_truth_itself_is_perfect(truth):
    assert mse(truth, truth) == 0
    assert psnr_luma(truth, truth, 4) == psnr_rgb(truth, truth, 4) == math.inf
    assert ssim_luma(truth, truth, 4) == pytest.approx(1)


def test_the_border_does_not_count(truth):
    framed = truth.copy()
    framed[:4] = framed[-4:] = 0
    framed[:, :4] = framed[:, -4:] = 0
    assert psnr_luma(framed, truth, 4) == psnr_rgb(framed, truth, 4) == math.inf
    assert math.isfinite(psnr_luma(framed, truth, 3))


def test_grey_and_colour_have_the_same_luma(truth):
    grey = truth[..., :1]
    blurred = (grey + np.roll(grey, 1, axis=0)) / 2
    in_colour = [np.repeat(samples, 3, axis=-1) for samples in (blurred, grey)]
    assert psnr_luma(blurred, grey, 4) == pytest.approx(psnr_luma(*in_colour, 4), abs=1e-6)


def test_only_mse_sees_what_the_file_would_clip(truth):
    white = np.ones_like(truth)
    assert psnr_rgb(white + 0.5, white, 4) == math.inf
    assert mse(white + 0.5, white) == pytest.approx(0.25)


@pytest.mark.parametrize("number", [psnr_luma, psnr_rgb, ssim_luma])
def test_shapes_that_differ_and_pictures_too_small_are_refused(number, truth):
    with pytest.raises(InputError, match="same height, width and channels"):
        number(truth[:-1], truth, 4)
    with pytest.raises(InputError, match="use a larger picture"):
        number(truth[:8, :8], truth[:8, :8], 4)


def test_ssim_needs_one_window(truth):
    with pytest.raises(InputError, match="at least 11 pixels"):
        ssim_luma(truth[:18, :18], truth[:18, :18], 4)
