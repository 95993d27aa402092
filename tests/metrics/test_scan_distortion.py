"""PSNR and SSIM of scans against scikit-image, and what they leave out and keep."""

import math

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from veriscale.errors import InputError
from veriscale.metrics.scan_distortion import data_range, scan_psnr, scan_ssim


@pytest.fixture(scope="module")
def truth():
    """Slices of a ball with texture, in a scan's units, on a background of 0."""
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in (7, 40, 36)), indexing="ij")
    texture = np.random.default_rng(0).gamma(4, 200, z.shape)
    return np.where(x**2 + y**2 + z**2 < 0.9, 700 + texture, 0).astype(np.float32)


@pytest.fixture(scope="module")
def noisy(truth):
    return truth + np.random.default_rng(1).normal(0, 90, truth.shape).astype(np.float32)


OPTIONS = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}


def test_the_range_is_the_percentile_in_the_mask(truth):
    mask = truth > 0
    assert data_range(truth, mask) == pytest.approx(np.percentile(truth[mask], 99.9))
    assert data_range(truth) == pytest.approx(np.percentile(truth, 99.9))
    spiked = truth.copy()
    spiked[~mask] = 1e6
    assert data_range(spiked, mask) == data_range(truth, mask)


def test_psnr_is_the_one_of_scikit_image(truth, noisy):
    mask, width = truth > 0, data_range(truth, truth > 0)
    assert scan_psnr(noisy, truth, width) == pytest.approx(
        peak_signal_noise_ratio(truth, noisy, data_range=width), abs=1e-5
    )
    inside = peak_signal_noise_ratio(truth[mask], noisy[mask], data_range=width)
    assert scan_psnr(noisy, truth, width, mask) == pytest.approx(inside, abs=1e-5)
    assert scan_psnr(truth, truth, width) == math.inf


def test_ssim_is_the_one_of_scikit_image(truth, noisy):
    mask, width = truth > 0, data_range(truth, truth > 0)
    maps = [
        structural_similarity(y.astype(float), x.astype(float), data_range=width, full=True, **OPTIONS)[1]
        for x, y in zip(truth, noisy, strict=True)
    ]
    whole = np.stack(maps)[:, 5:-5, 5:-5]
    assert scan_ssim(noisy, truth, width) == pytest.approx(whole.mean(), abs=1e-7)
    expected = whole[mask[:, 5:-5, 5:-5]].mean()
    assert scan_ssim(noisy, truth, width, mask) == pytest.approx(expected, abs=1e-7)
    assert abs(scan_ssim(noisy, truth, 255.0, mask) - expected) > 1e-4
    assert scan_ssim(noisy[2], truth[2], width) == pytest.approx(whole[2].mean(), abs=1e-7)


def test_what_is_outside_the_mask_does_not_count(truth, noisy):
    mask, width = truth > 0, data_range(truth, truth > 0)
    other = np.where(mask, noisy, 5e4)
    assert scan_psnr(other, truth, width, mask) == scan_psnr(noisy, truth, width, mask)
    assert scan_psnr(other, truth, width) < scan_psnr(noisy, truth, width)


@pytest.mark.parametrize("factor", [1 / 1000, 30])
def test_units_do_not_matter(truth, noisy, factor):
    mask = truth > 0
    width = data_range(truth, mask)
    for number in (scan_psnr, scan_ssim):
        again = number(noisy * factor, truth * factor, data_range(truth * factor, mask), mask)
        assert again == pytest.approx(number(noisy, truth, width, mask), rel=1e-4)


def test_nothing_is_rounded_or_clipped(truth):
    width = data_range(truth)
    tiny = scan_psnr(truth + np.float32(width / 4096), truth, width)
    assert tiny == pytest.approx(20 * math.log10(4096), abs=0.01)
    assert scan_psnr(truth - width, truth, width) == pytest.approx(0, abs=1e-4)


def test_what_cannot_be_compared(truth):
    mask = truth > 0
    with pytest.raises(InputError, match="same shape"):
        scan_psnr(truth[1:], truth, 1.0)
    with pytest.raises(InputError, match="same shape"):
        scan_ssim(truth[1:], truth, 1.0)
    with pytest.raises(InputError, match="bool of"):
        scan_psnr(truth, truth, 1.0, mask[1:])
    with pytest.raises(InputError, match="bool of"):
        scan_psnr(truth, truth, 1.0, mask.astype(np.uint8))
    with pytest.raises(InputError, match="empty"):
        scan_ssim(truth, truth, 1.0, np.zeros_like(mask))
    with pytest.raises(InputError, match="no range"):
        data_range(np.zeros_like(truth))
    with pytest.raises(InputError, match="no range"):
        scan_psnr(truth, truth, 0.0)
    with pytest.raises(InputError, match="at least 11"):
        scan_ssim(truth[:, :8], truth[:, :8], 1.0)
    edge = np.zeros_like(mask)
    edge[:, 2] = True
    with pytest.raises(InputError, match="inside its slice"):
        scan_ssim(truth, truth, 1.0, edge)
