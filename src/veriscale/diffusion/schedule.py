"""Noise levels a sampler visits, from the noisiest down to 0."""

import torch
from torch import Tensor

from veriscale.errors import InputError


def karras(sigma_max: float, sigma_min: float, steps: int, rho: float = 7.0) -> Tensor:
    """Space noise levels evenly in σ^(1/ρ), then end at 0.

    A larger ρ puts more of the levels near 0; ρ → ∞ is `geometric`.

    Args:
        sigma_max: first level, [0, 1] units; returned exactly.
        sigma_min: last level above 0.
        steps: N ≥ 1; a single step goes from sigma_max to 0.
        rho: spacing exponent.

    Returns:
        (steps + 1,) float64, strictly decreasing, last 0.

    Raises:
        InputError: fewer than one step, or not 0 < sigma_min < sigma_max.

    Source: Karras et al. 2022, eq. 5.
    """
    share = _shares(sigma_max, sigma_min, steps)
    root_max, root_min = sigma_max ** (1 / rho), sigma_min ** (1 / rho)
    return _ending_at_zero((root_max + share * (root_min - root_max)) ** rho, sigma_max)


def geometric(sigma_max: float, sigma_min: float, steps: int) -> Tensor:
    """Space noise levels evenly in log σ, then end at 0: the even spacing in log SNR of DPM-Solver++.

    Arguments, result and errors as `karras`.

    Source: Lu et al. 2022 (DPM-Solver), section 3.3, uniform λ.
    """
    share = _shares(sigma_max, sigma_min, steps)
    return _ending_at_zero(sigma_max * (sigma_min / sigma_max) ** share, sigma_max)


def _shares(sigma_max: float, sigma_min: float, steps: int) -> Tensor:
    if steps < 1:
        raise InputError(f"a sampler cannot take {steps} steps: 1 is the least")
    if not 0 < sigma_min < sigma_max:
        raise InputError(
            f"noise levels cannot fall from {sigma_max:g} to {sigma_min:g}: "
            "the first must be above the last, and both above 0"
        )
    return torch.linspace(0, 1, steps, dtype=torch.float64)


def _ending_at_zero(levels: Tensor, sigma_max: float) -> Tensor:
    levels[0] = sigma_max  # the power and its root do not cancel to the last bit
    return torch.cat([levels, levels.new_zeros(1)])
