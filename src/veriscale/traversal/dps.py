"""Diffusion posterior sampling: a step of the unconditional chain, then one along the gradient of the data's misfit."""

from collections.abc import Callable
from itertools import pairwise
from math import sqrt

from torch import Tensor

from veriscale.diffusion.samplers import NoiseSource
from veriscale.traversal.misfit import Misfit
from veriscale.traversal.posterior import Pullback

Length = Callable[[float, float], float]
"""(sigma, sigma of the next step) → length of a step of one unit of zeta."""


def of_pictures(s: float, t: float) -> float:
    """The length of a step for pictures in [0, 1]: ½ over √(ᾱ_t·ᾱ_(t−1)), ᾱ = 1/(1 + 4σ²).

    A gradient in x_t is √ᾱ times shorter than one in x_σ = x_t/√ᾱ, and steps are longer by the same; the norm and
    the picture of [−1, 1] are twice those of [0, 1].
    """
    return sqrt((1 + 4 * s**2) * (1 + 4 * t**2)) / 2


def dps(
    pullback: Pullback,
    data: Misfit,
    x: Tensor,
    sigmas: Tensor,
    zeta: float,
    noise: NoiseSource,
    tell: Callable[[int, int], None] = lambda done, of: None,
    length: Length = of_pictures,
) -> Tensor:
    """Sample with the gradient of ‖y − A(D(x_t))‖, taken in x_t and subtracted from x_(t−1); norms per picture.

    Args:
        pullback: of the unconditional denoiser.
        data: the measurement, of any operator.
        x: (B, C, H, W) start at sigmas[0].
        sigmas: (N + 1,) decreasing, last 0.
        zeta: the authors' step length, for data on [−1, 1] and the variance-preserving chain.
        noise: draws the unit noise of a step.
        tell: called after every evaluation.
        length: what a unit of zeta is in the variables that are sampled.

    Source: Chung et al. 2023 (DPS), algorithm 1, with the variance t²(1 − k) of Ho et al. 2020.
    """
    steps = len(sigmas) - 1
    for step, (s, t) in enumerate(pairwise(sigmas.tolist())):
        denoised, pull = pullback(x, s)
        _, towards = data.norm_gradient(denoised)
        gradient = pull(towards)
        k = (t / s) ** 2
        x = k * x + (1 - k) * denoised - zeta * length(s, t) * gradient
        if t > 0:  # the last step ends on the mean
            x = x + t * sqrt(1 - k) * noise(step)
        tell(step + 1, steps)
    return x
