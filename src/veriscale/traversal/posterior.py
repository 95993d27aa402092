"""Posterior denoisers without a conditional prior: (x, sigma) -> E[x0 | x_sigma = x, y], about."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from veriscale.diffusion.samplers import Denoiser
from veriscale.errors import InputError
from veriscale.physics.data_term import DataTerm
from veriscale.physics.operator import LinearOperator
from veriscale.physics.residual_descent import minimal_residual
from veriscale.traversal.misfit import Misfit

Pullback = Callable[[Tensor, float], tuple[Tensor, Callable[[Tensor], Tensor]]]
"""(x, sigma) -> D(x; sigma) and g -> (dD/dx)ᵀg."""


@dataclass(frozen=True)
class Proximal:
    """Pull the denoised picture to the measurement by its proximal map: no gradient of the network.

    E[x0 | x_sigma, y] of a white Gaussian with the prior's variance V per pixel: the variance left at sigma is
    sigma²V/(sigma² + V).

    Args:
        denoise: the unconditional denoiser.
        data: the measurement, with a proximal map.
        variance: V.

    Source: Song et al. 2023 (ΠGDM), eq. 7 and section 3; Zhu et al. 2023 (DiffPIR), eq. 13.
    """

    denoise: Denoiser
    data: Misfit
    variance: float

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        """(B, C, H, W) to the same."""
        denoised = self.denoise(x, sigma)
        left = sigma**2 * self.variance / (sigma**2 + self.variance)
        return self.data.prox(denoised, left**0.5, denoised)


@dataclass(frozen=True)
class Covariance:
    """The exact update of a Gaussian, Cov[x0 | x_sigma] = sigma²·dD/dx from the denoiser's derivative.

    x0 = D + CAᵀ(ACAᵀ + s²)⁻¹(y − AD) on the measurement's grid, one pullback an iteration. A learned denoiser's
    derivative is not symmetric, so residuals are minimised instead of following conjugate directions.

    Args:
        pullback: of the unconditional denoiser.
        data: the measurement; linear, with Gaussian noise.
        iterations: at most.
        tolerance: relative residual at which they stop.
        enough: relative residual above which the answer is no answer.

    Source: Tweedie's formula of second order; Boys et al. 2024 (TMPD), eq. 9; docs/methods.md#posteriors.
    """

    pullback: Pullback
    data: DataTerm
    iterations: int = 30
    tolerance: float = 1e-2
    enough: float = 0.9

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        """(B, C, H, W) to the same.

        Raises:
            InputError: the residual stays above `enough`.
        """
        a, s = self.data.operator, self.data.noise_std
        if not isinstance(a, LinearOperator):
            raise InputError(f"The posterior 'covariance' needs a linear operator, and {a} is not; choose 'dps'.")
        denoised, pull = self.pullback(x, sigma)

        def spread(u: Tensor) -> Tensor:
            return sigma**2 * pull(a.adjoint(u))

        rest = -self.data.residual(denoised)
        z, left = minimal_residual(lambda u: a.forward(spread(u)) + s**2 * u, rest, self.tolerance, self.iterations)
        if left > self.enough:
            raise InputError(
                f"The posterior 'covariance' did not converge at noise level {sigma:.3g}: after {self.iterations} "
                f"iterations the residual is still {left:.2g} of what it was; choose `--posterior` proximal."
            )
        return denoised + spread(z)


def autograd_pullback(denoise: Denoiser) -> Pullback:
    """The pullback of a denoiser that torch can differentiate, such as an oracle's."""

    def pullback(x: Tensor, sigma: float) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        with torch.enable_grad():
            into = x.detach().clone().requires_grad_()
            out = denoise(into, sigma)
        return out.detach(), lambda g: torch.autograd.grad(out, into, g, retain_graph=True)[0]

    return pullback
