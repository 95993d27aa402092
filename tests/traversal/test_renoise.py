"""Re-noising on Gaussian oracles: benchmarks/oracles.py measures the laws; here they hold at small size."""

import pytest
import torch

from veriscale.diffusion.noise_field import NoiseField
from veriscale.diffusion.samplers import sample
from veriscale.diffusion.schedule import karras
from veriscale.traversal.renoise import SAMPLER, STEPS, renoise

C, SIDE, DRAWS = 0.04, 64, 6


def ending_variance(sampler: str, start: float, with_variance: bool = True) -> float:
    """Variance around the anchor after re-noising to `start`, for a white Gaussian posterior N(anchor, C)."""
    anchor = torch.full((1, 1, SIDE, SIDE), 0.5)

    def denoise(x: torch.Tensor, sigma: float) -> torch.Tensor:
        return anchor + C / (C + sigma**2) * (x - anchor)

    def variance(sigma: float) -> float:
        return C * sigma**2 / (C + sigma**2) if with_variance else 0.0

    fields = [(NoiseField(0, "picture"), k) for k in range(DRAWS)]
    draws = renoise(
        anchor, denoise, start, sigma_min=0.002, sampler=sampler, steps=60, variance=variance, fields=fields
    )
    return float((draws - anchor).square().mean())


@pytest.mark.parametrize("start", [0.1, 0.3, 2.0])
@pytest.mark.parametrize("sampler, power", [("ancestral", 2), ("heun", 1), ("dpm-solver++", 1)])
def test_ending_variance_is_the_law(sampler, power, start):
    rho = C / (C + start**2)
    assert ending_variance(sampler, start) == pytest.approx(C * (1 - rho**power), rel=0.05)


def test_without_v_ancestral_misses_it():
    rho = C / (C + 2.0**2)
    assert ending_variance("ancestral", 2.0, with_variance=False) < 0.95 * C * (1 - rho**2)


SPREAD = 0.066  # sigma_data of a residual at ×4


def left(steps: int, start: float, c: float, ratio: float = 1.0) -> float:
    """Variance that the shipped sampler leaves of a mode of variance c, of whose exact denoiser `ratio`·σ is told.

    The sampler is linear: the answer to a start of one unit says it, no draws.
    """
    one = torch.ones(1, 1, 1, 1, dtype=torch.float64)

    def told(x: torch.Tensor, sigma: float) -> torch.Tensor:
        return c / (c + (ratio * sigma) ** 2) * x

    end = sample(SAMPLER, told, one, karras(start, 0.002, steps), lambda s: 0.0, lambda step: one)
    return float(start * end) ** 2


def law(start: float, c: float, ratio: float = 1.0) -> float:
    """What the exact flow leaves: c(1 − ρ)/r² with ρ = c/(c + r²σ₀²)."""
    return c * start**2 / (c + (ratio * start) ** 2)


@pytest.mark.parametrize("share", [0.3, 1.0, 3.0])
@pytest.mark.parametrize("ratio", [1.0, 0.95])
def test_eight_steps_leave_a_seventh_too_much_at_most(share, ratio):
    """The conditional mode as shipped: 8 steps from 10σ_d. The solver's own error and the level ratio multiply."""
    c, start = (share * SPREAD) ** 2, 10 * SPREAD
    assert 1.05 < left(STEPS, start, c, ratio) / law(start, c, ratio) < 1.15


@pytest.mark.parametrize("share", [0.3, 1.0, 3.0])
@pytest.mark.parametrize("start", [0.28, 2.0, 4.0])
def test_twenty_steps_leave_five_per_cent_too_much_at_most(share, start):
    """The zero-shot modes as shipped, from the starts of masks, thick pixels and blurs."""
    c = (share * SPREAD) ** 2
    assert 1.0 < left(20, start, c) / law(start, c) < 1.06


def test_fine_modes_lose_where_the_solver_leaves_too_few_levels():
    c, start = (0.1 * SPREAD) ** 2, 10 * SPREAD
    assert left(8, start, c) / law(start, c) == pytest.approx(0.85, abs=0.03)
    assert left(20, start, c) / law(start, c) == pytest.approx(0.93, abs=0.03)


def test_an_exact_denoiser_told_a_lower_level_leaves_more():
    """Negative control of the level ratio: on an exact denoiser it compensates nothing and adds 1/r² − 1."""
    c, start = SPREAD**2, 10 * SPREAD
    added = left(200, start, c, 0.95) / left(200, start, c)
    assert added == pytest.approx(law(start, c, 0.95) / law(start, c), rel=2e-3)
    assert added == pytest.approx(0.95**-2, rel=0.01)
