"""The measurement of what a decoder makes of latents: what the stages ask of it, with derivatives in the latents."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf, sqrt

import torch
from torch import Tensor
from torch.nn import functional

from veriscale.latent.autoencoder import Autoencoder, Linear
from veriscale.physics.conjugate_gradient import conjugate_gradient
from veriscale.physics.data_term import DataTerm
from veriscale.physics.operator import LinearOperator

TOLERANCE = 1e-2  # of a Gauss–Newton step's linear problem, which is an approximation itself
ITERATIONS = 20  # of it at most, each with a derivative of the decoder forwards and one back


def dps_length(s: float, t: float) -> float:
    """The length of a step of `dps` for latents, y in [0, 1]: 2ᾱ_t over √(ᾱ_t·ᾱ_(t−1)), ᾱ = 1/(1 + σ²).

    The gradient is weighted by ᾱ_t; the norm of [−1, 1] is twice that of [0, 1], and latents keep their range.

    Source: LMAP-RPS (arXiv 2605.28711), stage 2; in z_σ = z_t/√ᾱ as `traversal.dps.of_pictures`.
    """
    return 2 * sqrt((1 + t**2) / (1 + s**2))


@dataclass(frozen=True, eq=False)
class LatentMisfit:
    """A `Misfit` over latents: of A∘decoder.

    Attributes:
        autoencoder: of the prior.
        data: the measurement.
        grid: (H', W') of the decoder's pictures, of which the truth is the upper left part.
    """

    autoencoder: Autoencoder
    data: DataTerm
    grid: tuple[int, int]

    def of(self, copies: int) -> "LatentMisfit":
        """The same measurement for so many items."""
        y = self.data.y
        return replace(self, data=replace(self.data, y=y.expand(copies, *y.shape[1:])))

    def picture(self, z: Tensor) -> Tensor:
        """The decoder's picture, (B, C, H, W) on the truth's grid."""
        return self._cut(self.autoencoder.decode(z))

    def start(self) -> Tensor:
        """E(A⁺y), or of y resized where A is not linear; continued by its last rows and columns."""
        x = self.data.start()
        rows, columns = (wide - n for wide, n in zip(self.grid, x.shape[-2:], strict=True))
        return self.autoencoder.encode(functional.pad(x, (0, columns, 0, rows), mode="replicate"))

    def gradient(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """As `Misfit.gradient`: through the decoder."""
        return self._through(x, self.data.gradient)

    def norm_gradient(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """As `Misfit.norm_gradient`: through the decoder."""
        return self._through(x, self.data.norm_gradient)

    def prox(self, v: Tensor, sigma: float, estimate: Tensor | None = None) -> Tensor:
        """One Gauss–Newton step from v, its linear problem solved as far as `ITERATIONS` go; noise is Gaussian.

        Source: Nocedal, Wright 2006, section 10.3; a problem that is left early is a step that is shorter where the
        measurement says least, section 7.1.
        """
        decoded, push, pull = self.autoencoder.linearised(v)
        operator, cut = self.data.operator, self._cut(decoded)
        if isinstance(operator, LinearOperator):
            push_on: Linear = operator.forward
            pull_back: Linear = operator.adjoint
        else:
            pulled: Callable[[Tensor], tuple[Tensor]] = torch.func.vjp(operator.surrogate, cut)[1]

            def push_on(u: Tensor) -> Tensor:
                pushed: Tensor = torch.func.jvp(operator.surrogate, (cut,), (u,))[1]
                return pushed

            def pull_back(g: Tensor) -> Tensor:
                return pulled(g)[0]

        rho = (self.data.noise_std / sigma) ** 2

        def gram(u: Tensor) -> Tensor:
            return pull(self._continued(pull_back(push_on(self._cut(push(u)))))) + rho * u

        right = -pull(self._continued(pull_back(self.data.residual(cut))))
        return v + conjugate_gradient(gram, right, tolerance=TOLERANCE, iterations=ITERATIONS, enough=inf)

    def _through(self, z: Tensor, gradient: Callable[[Tensor], tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        decoded, pull = self.autoencoder.pullback(z)
        value, towards = gradient(self._cut(decoded))
        return value, pull(self._continued(towards))

    def _cut(self, x: Tensor) -> Tensor:
        """Of a picture on the decoder's grid the truth's."""
        _, height, width = self.data.operator.truth_shape(tuple(self.data.y.shape[1:]))
        return x[..., :height, :width]

    def _continued(self, x: Tensor) -> Tensor:
        """The transpose of `_cut`."""
        rows, columns = (wide - n for wide, n in zip(self.grid, x.shape[-2:], strict=True))
        return functional.pad(x, (0, columns, 0, rows))
