"""Re-noising on Gaussian oracles: benchmarks/oracles.py measures the laws; here they hold at small size."""

import pytest
import torch

from veriscale.diffusion.noise_field import NoiseField
from veriscale.traversal.renoise import renoise

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
