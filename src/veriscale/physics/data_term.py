"""What a restoration knows from its measurement: operator, noise and y in one place.

With s = `noise_std` the data term is −log p(y | x) ≈ ‖W^½(A(x) − y′)‖² / (2s²): for Gaussian noise W = 1 and y′ = y,
otherwise W = s²/Var[y | A(x)] and y′ = y − E[y | A(x)] + A(x), both held at a given estimate of A(x). Solving again
at each new estimate is Fisher scoring for Poisson noise: the fixed point solves the score equation of that law itself.
For Rician noise it solves an unbiased estimating equation; the steps are short where the signal is below the noise.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from veriscale.errors import InputError
from veriscale.imaging.resize import resize
from veriscale.physics.measurement_noise import ROUNDING, GaussianNoise, Noise
from veriscale.physics.operator import LinearOperator, Operator, proximal

WEIGHTS = 0.01, 100.0
"""Range of W: an estimate that is 0 by mistake must not make a value certain, nor spoil the solver's condition."""


@dataclass(frozen=True, eq=False)
class DataTerm:
    """A measurement with what is known of how it came about.

    Args:
        operator: A, bound to the grid.
        y: (B, C, …), the measurement; values outside the operator's support are not looked at.
        noise: its model.
        rounding: standard deviation of the rounding of y, which s is at least.
        copies: how many channels of y are one measurement; together they must not count as more data, so that the
            noise's variance counts as so many times what it is.
    """

    operator: Operator
    y: Tensor
    noise: Noise
    rounding: float = ROUNDING
    copies: int = 1

    @property
    def linear(self) -> bool:
        """Whether A is linear: only then there is a `prox`."""
        return isinstance(self.operator, LinearOperator)

    @cached_property
    def noise_std(self) -> float:
        """s: √copies times the noise's typical standard deviation at the brightness of y, or that of its rounding."""
        y = self.y.clamp(0, 1)
        if self._support is not None:
            y = y[self._support.expand_as(y) > 0]
        return self.noise.typical_std(y, self.rounding) * math.sqrt(self.copies)

    @cached_property
    def measured(self) -> int:
        """How many values of one item were measured, all channels together."""
        shape = self.y.shape[1:]
        return shape.numel() if self._support is None else int(self._support.expand(1, *shape).sum())

    @cached_property
    def _support(self) -> Tensor | None:
        support = self.operator.support(tuple(self.y.shape[1:]))
        return None if support is None else support.to(self.y)

    def prox(self, v: Tensor, sigma: float, estimate: Tensor | None = None) -> Tensor:
        """argmin over x of ‖W^½(Ax − y′)‖²/(2s²) + ‖x − v‖²/(2σ²).

        Args:
            v: (B, C, …) on the truth grid.
            sigma: σ, positive.
            estimate: (B, C, …) of the truth, where W and y′ are taken; v when None.

        Raises:
            InputError: the operator has none, or conjugate gradients did not converge.
        """
        a = proximal(self.operator, "This way to the data", "the anchor 'paper' and the posterior 'dps'")
        rho = (self.noise_std / sigma) ** 2
        if isinstance(self.noise, GaussianNoise):  # spares an A(v), and lets closed forms be used
            return a.prox(v, self.y, rho)
        clean = a.forward(v if estimate is None else estimate)
        return a.prox(v, self._target(clean), rho, self._weight(clean))

    def residual(self, x: Tensor) -> Tensor:
        """A(x) − y′ where there are measured values and 0 elsewhere: (B, C, …), differentiable, y′ held at A(x)."""
        return self._residual(self.operator.forward(x))

    def gradient(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """‖W^½(A(x) − y′)‖² of each item, (B,), and its gradient in x; W and y′ are held at A(x)."""
        return self._gradient(x, plain=False)

    def norm_gradient(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """‖A(x) − y′‖ of each item, (B,), and its gradient in x (0 where the norm is 0); without weights."""
        square, gradient = self._gradient(x, plain=True)
        norm = square.sqrt()
        half_inverse = torch.where(norm > 0, 0.5 / norm, 0)
        return norm, gradient * half_inverse.view(-1, *[1] * (x.ndim - 1))

    def variance_at(self, x: Tensor) -> Tensor | float:
        """s²W⁻¹, the variance of each measured value, held at A(x): (B, C, …), or one number for all."""
        weight = self._weight(self.operator.forward(x))
        return self.noise_std**2 if weight is None else self.noise_std**2 / weight

    def consistency(self, x: Tensor, stored: bool = False) -> Tensor:
        """‖W^½(A(x) − y′)‖²/(n s²) of each item, (B,), n the number of measured values: about 1 at the truth.

        Args:
            x: (B, C, …).
            stored: whether y comes from an integer file, which clips Gaussian noise: n·s² is then what is left of it.
        """
        clean = self.operator.forward(x)
        square = self._residual(clean).square()
        weight = self._weight(clean)
        if weight is not None:
            square = square * weight
        if stored and isinstance(self.noise, GaussianNoise):
            power = self.noise.stored_power(clean.clamp(0, 1))
            power = power if self._support is None else power * self._support
            return square.flatten(1).sum(1) / power.flatten(1).sum(1)
        return square.flatten(1).sum(1) / (self.measured * self.noise_std**2 / self.copies)

    def start(self) -> Tensor:
        """A first x: A⁺y about mid-grey for a linear operator, else y resized to the truth grid, (B, C, H, W).

        About mid-grey, ½ + A⁺(y − A½), since that is A⁺y on [−1, 1]: what is not measured starts grey, not black.
        """
        shape = self.operator.truth_shape(tuple(self.y.shape[1:]))
        if isinstance(self.operator, LinearOperator):
            grey = self.y.new_full((len(self.y), *shape), 0.5)
            return grey + self.operator.pinv(self.y - self.operator.forward(grey))
        if shape == tuple(self.y.shape[1:]):
            return self.y.clone()
        if len(shape) != 3 or shape[0] != self.y.shape[1]:
            raise InputError(f"A measurement of operator {str(self.operator)!r} cannot be resized to start from.")
        items = [resize(item.permute(1, 2, 0).float().cpu().numpy(), *shape[1:]) for item in self.y]
        return torch.stack([torch.from_numpy(item).permute(2, 0, 1) for item in items]).to(self.y)

    def _target(self, clean: Tensor) -> Tensor:
        """y′, at `clean` clamped to [0, 1]."""
        bias = self.noise.bias(clean.detach().clamp(0, 1))
        return self.y if bias is None else self.y - bias

    def _weight(self, clean: Tensor) -> Tensor | None:
        """W's diagonal, at `clean` clamped to [0, 1]."""
        variance = self.noise.variance(clean.detach().clamp(0, 1))
        return None if variance is None else (self.noise_std**2 / (self.copies * variance)).clamp(*WEIGHTS)

    def _residual(self, clean: Tensor) -> Tensor:
        rest = clean - self._target(clean)
        return rest if self._support is None else rest * self._support

    def _gradient(self, x: Tensor, plain: bool) -> tuple[Tensor, Tensor]:
        if isinstance(self.operator, LinearOperator):
            with torch.no_grad():
                clean = self.operator.forward(x)
                rest = self._residual(clean)
                weighted = self._weighted(rest, clean, plain)
                return (rest * weighted).flatten(1).sum(1), 2 * self.operator.adjoint(weighted)
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            clean = self.operator.surrogate(x)
            rest = self._residual(clean)
            value = (rest * self._weighted(rest, clean, plain)).flatten(1).sum(1)
            (gradient,) = torch.autograd.grad(value.sum(), x)
        return value.detach(), gradient

    def _weighted(self, rest: Tensor, clean: Tensor, plain: bool) -> Tensor:
        weight = None if plain else self._weight(clean)
        return rest if weight is None else weight * rest
