"""E[PSNR in the mask] is at least −20 log₁₀ alpha where, and only where, the certificate implies it."""

import math
from fractions import Fraction

import numpy as np
import pytest
from tests.trust.masked_psnr import masked_psnr

from veriscale.trust.psnr_floor import psnr_floor

ALPHA = 0.2


def test_the_floor_in_decibels():
    assert psnr_floor(0.1, "sup", "pointwise") == pytest.approx(20)
    assert psnr_floor(Fraction(1, 100), "sup", "pointwise") == pytest.approx(40)


@pytest.mark.parametrize("loss", ["area", "tile-mean", "recall", "violation"])
def test_other_losses_have_none(loss):
    assert psnr_floor(0.1, loss, "pointwise") is None


@pytest.mark.parametrize("discrepancy", ["lab", "neighbourhood:std=2", "semantic"])
def test_other_discrepancies_have_none(discrepancy):
    assert psnr_floor(0.1, "sup", discrepancy) is None


def test_masked_psnr_is_of_the_trusted_pixels_and_all_channels():
    truth = np.zeros((4, 5, 3), np.float32)
    image = truth.copy()
    image[0, :, 0], image[1:] = 0.3, 0.9
    mask = np.zeros((4, 5), bool)
    mask[0] = True
    assert masked_psnr(image, truth, mask) == pytest.approx(-10 * math.log10(0.3**2 / 3), abs=1e-5)
    assert masked_psnr(image, truth, ~mask) == pytest.approx(-20 * math.log10(0.9), abs=1e-5)
    assert masked_psnr(truth, truth, mask) == math.inf
    assert masked_psnr(image, truth, np.zeros((4, 5), bool)) == math.inf


def test_psnr_is_at_least_that_of_the_greatest_error():
    rng = np.random.default_rng(0)
    for _ in range(50):
        truth, image = rng.random((2, 6, 7, 3))
        mask = rng.random((6, 7)) < 0.5
        greatest = np.abs(image - truth)[mask].max()
        assert masked_psnr(image, truth, mask) >= -20 * math.log10(greatest)


def simulated(runs=60, n=60, tests=15):
    """Pictures that differ in quality, which their score knows nothing of: sup losses and PSNR of test pictures."""
    rng = np.random.default_rng(0)
    losses, psnrs = [], []
    for _ in range(runs):
        quality = 0.2 * np.exp(rng.normal(0, 0.5, (n + tests, 1, 1, 1)))
        local = np.exp(rng.normal(0, 0.1, (n + tests, 6, 6, 1)))
        truth = np.zeros((n + tests, 6, 6, 3))
        image = np.minimum(quality * local * rng.uniform(0.9, 1, truth.shape), 1)
        score = local[..., 0]
        error = np.abs(image - truth).max(axis=3)
        threshold = conformal(score[:n].reshape(n, -1), error[:n].reshape(n, -1))
        for i in range(n, n + tests):
            mask = score[i] < threshold
            losses.append(error[i][mask].max(initial=0))
            psnrs.append(masked_psnr(image[i], truth[i], mask))
    return np.array(losses), np.array(psnrs)


def conformal(score, error):
    """sup{t : (Σ sup loss + 1)/(n + 1) ≤ ALPHA}, by trying every score: what lies below t is trusted."""
    order = np.argsort(score, axis=1)
    scores, greatest = (
        np.take_along_axis(score, order, 1),
        np.maximum.accumulate(np.take_along_axis(error, order, 1), 1),
    )
    candidates = np.sort(score.ravel())
    index = [np.searchsorted(row, candidates) for row in scores]
    total = sum(np.where(i > 0, row[np.maximum(i - 1, 0)], 0) for i, row in zip(index, greatest, strict=True))
    return candidates[np.flatnonzero(total + 1 <= ALPHA * (len(score) + 1))[-1]]


def test_the_expected_psnr_in_the_mask_is_above_the_floor():
    losses, psnrs = simulated()
    floor = psnr_floor(ALPHA, "sup", "pointwise")
    assert ALPHA - 0.03 < losses.mean() < ALPHA + 0.01  # the promise is used up, so that the floor means something
    assert (psnrs < floor).mean() > 0.25  # it is the mean that has the floor, not each picture
    assert (losses > 0).mean() > 0.95  # and it does not rest on empty masks: those that there are count nothing here
    assert floor <= psnrs[losses > 0].mean() < floor + 2
    assert -10 * np.log10(np.mean(losses[losses > 0] ** 2)) < floor  # without Jensen's help nothing would be left


def test_jensen_is_for_the_mean_of_psnr_and_not_for_psnr_of_the_mean():
    # The greatest error is everywhere in the mask: nothing is left between MSE and L² but Jensen.
    losses = np.array([0.01] * 9 + [1.0])
    alpha = losses.mean()
    floor = psnr_floor(alpha, "sup", "pointwise")
    flat, mask = np.zeros((3, 3, 1)), np.ones((3, 3), bool)
    psnrs = np.array([masked_psnr(flat + loss, flat, mask) for loss in losses])
    assert psnrs.mean() > floor + 10
    assert -10 * np.log10(np.mean(losses**2)) < floor - 5  # pooling the errors before the logarithm has no floor
    same = np.full(10, alpha)
    assert np.mean([masked_psnr(flat + loss, flat, mask) for loss in same]) == pytest.approx(floor)  # and it is tight


def test_without_the_empty_masks_there_is_no_floor():
    losses = np.array([0.0] * 8 + [0.8, 0.9])  # eight masks are empty
    floor = psnr_floor(losses.mean(), "sup", "pointwise")
    flat = np.zeros((3, 3, 1))
    psnrs = np.array([masked_psnr(flat + loss, flat, np.full((3, 3), loss > 0)) for loss in losses])
    assert psnrs.mean() == math.inf >= floor
    assert psnrs[losses > 0].mean() < floor - 10
