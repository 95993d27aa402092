"""Pilot draws where posterior and sampler are known, so that the share they predict can be checked."""

import math

import pytest
import torch

from veriscale.traversal.dial import sigma_0, weight
from veriscale.traversal.pilot import pilot

C = 0.01  # posterior variance of every pixel
SHAPE = (1, 3, 96, 96)
STARTS = (0.02, 0.05, 0.1, 0.2, 0.4)
SIGMA_MAX = 2.0
DIALS = (0.25, 0.5, 0.75)


def unit(seed: int) -> torch.Tensor:
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


MEAN = 0.5 + 0.1 * unit(100)
PATTERN = unit(101)


def kept(start: float) -> float:
    """Share of the anchor's error that the probability flow keeps from `start`, squared."""
    return C / (C + start**2)


def draw(anchor: torch.Tensor, start: float, seed: int) -> torch.Tensor:
    """By the exact flow: N(mean + √ρ·(anchor − mean), c(1 − ρ))."""
    rho = kept(start)
    return MEAN + rho**0.5 * (anchor - MEAN) + (C * (1 - rho)) ** 0.5 * unit(seed)


def learned(off: float, starts=STARTS, offset: int = 0):
    anchor = MEAN + off * PATTERN
    full = [draw(anchor, SIGMA_MAX, offset + k) for k in (1, 2)]
    return pilot(anchor, full, lambda s: draw(anchor, s, offset + 3 + STARTS.index(s)), starts, SIGMA_MAX)


def extra(off: float, start: float) -> float:
    """True extra distortion over truths from the posterior."""
    rho = kept(start)
    return C * (1 - rho) + rho * off**2 - off**2


@pytest.mark.parametrize("off", [0.0, 0.03, 0.05])
def test_the_weight_meets_its_share_of_the_truth(off):
    found = learned(off, starts=())
    for f in DIALS:
        w = weight(found, f)
        # x = anchor + w(x1 − anchor), truth and x1 independent with the same law
        share = (w**2 * (C + off**2) - 2 * w * off**2) / (C - off**2)
        assert share == pytest.approx(f, abs=0.03)


@pytest.mark.parametrize("off", [0.0, 0.03, 0.05])
def test_the_start_meets_its_share_of_the_truth(off):
    found = learned(off)
    assert found.sigma_0 == [0.0, *STARTS, SIGMA_MAX]
    for start, predicted in zip(STARTS, found.fraction[1:-1], strict=True):
        assert predicted == pytest.approx(extra(off, start) / extra(off, SIGMA_MAX), abs=0.03)
    for f in DIALS:  # between the starts it is a straight line, which costs a little more
        share = extra(off, sigma_0(found, f)) / extra(off, SIGMA_MAX)
        assert share == pytest.approx(f, abs=0.08)


def test_without_the_correction_an_offset_would_be_missed():
    """Negative control: √f is right for the posterior mean alone."""
    off = 0.05
    w = math.sqrt(0.5)
    assert abs((w**2 * (C + off**2) - 2 * w * off**2) / (C - off**2) - 0.5) > 0.05


def test_kappa_is_zero_for_the_mean_and_known_for_an_offset():
    assert learned(0.0).kappa == pytest.approx(0, abs=0.02)
    off = 0.05
    assert learned(off).kappa == pytest.approx(off**2 / (C + off**2), abs=0.03)


def test_fractions_rise_from_nought_to_one():
    for off in (0.0, 0.05, 0.5):
        share = learned(off).fraction
        assert share[0] == 0
        assert share[-1] == 1
        assert share == sorted(share)


def test_an_anchor_worse_than_a_draw_still_gives_a_dial():
    """Draws all on one side of the anchor: kappa would be above ½, where no weight would add distortion."""
    found = learned(0.5, starts=())
    assert found.kappa == 0.45
    assert 0 < weight(found, 0.25) < weight(found, 0.75) <= 1


def test_draws_that_do_not_vary_give_a_dial():
    found = pilot(MEAN, [MEAN, MEAN], lambda s: MEAN, STARTS, SIGMA_MAX)
    assert found.kappa == 0
    assert found.fraction == sorted(found.fraction)
    assert all(map(math.isfinite, found.fraction))
