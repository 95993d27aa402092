"""What an operator is: the way from the truth x to a measurement y, and back as far as there is one.

Arrays are torch tensors with a batch and channels in front: (B, C, H, W), for volumes (B, C, D, H, W). A shape without
the batch is written (C, H, W). All in [0, 1] units; the type (float32, float64) and device are those of the argument.
"""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from veriscale.errors import InputError
from veriscale.physics.conjugate_gradient import conjugate_gradient

Shape = tuple[int, ...]
"""(C, H, W) or (C, D, H, W)."""


class Operator(ABC):
    """y = A(x). Members are frozen dataclasses whose fields are the keys of their string."""

    name: ClassVar[str]
    picture: ClassVar[bool] = True
    """Whether a measurement is itself a picture; coefficients of a transform are not."""
    local: ClassVar[bool] = True
    """Whether a value of y depends on the values of x near it alone."""

    alike: ClassVar[bool] = True
    """Whether every channel is treated as any other, and apart from them."""

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """A(x), differentiable. The shape of x is one that `truth_shape` gives."""

    @abstractmethod
    def __str__(self) -> str:
        """The canonical string; `parse_operator` of it gives an equal operator."""

    def measure(self, x: Tensor) -> Tensor:
        """What is measured without noise; `forward`, but where that only imitates a real instrument or codec."""
        return self.forward(x)

    def surrogate(self, x: Tensor) -> Tensor:
        """What gradients are taken of; `forward`, but where that is flat between jumps."""
        return self.forward(x)

    def measurement_shape(self, shape: Shape) -> Shape:
        """Shape of y for an x of `shape`, which may be cropped at its ends to `truth_shape` of the answer.

        Raises:
            InputError: no x of this shape can be measured.
        """
        return shape

    def truth_shape(self, shape: Shape) -> Shape:
        """Shape of x for a y of `shape`.

        Raises:
            InputError: no measurement has this shape.
        """
        return shape

    def support(self, shape: Shape) -> Tensor | None:
        """Where a measurement of `shape` holds values: 1 there, 0 elsewhere, broadcasting; None: everywhere."""
        return None

    def bind(self, affine: NDArray[np.float64]) -> "Operator":
        """The same operator on a grid of known size: `affine` (4, 4) maps voxels to millimetres."""
        return self

    def moved(self, affine: NDArray[np.float64]) -> NDArray[np.float64]:
        """The `affine` (4, 4) of a measurement on the grid that `affine` gives the truth."""
        return affine

    def beside(self, folder: Path) -> "Operator":
        """The same operator with the paths of its files written as seen from `folder`."""
        return self

    @property
    def contents(self) -> tuple[str, ...]:
        """A hash of what each of its files holds, in the order of its string."""
        return ()

    @property
    def noise_std(self) -> float:
        """Standard deviation of what it does to y beyond `forward` without its rounding, or of what `prox`
        leaves; noise is at least that."""
        return 0.0

    @property
    def divisible(self) -> bool:
        """Whether a part of a measurement is that of a part by the same string: holes are elsewhere there."""
        return self.local

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should be told about what was made of their string: one sentence each."""
        return ()


class ProximalOperator(Operator):
    """y = A(x), linear or not, with a proximal map of ½‖A(x) − y‖²."""

    dependable: ClassVar[bool] = True
    """Whether the most probable picture is near the mean: else the anchor is a mean of draws, by `dps`."""
    exact: ClassVar[bool] = True
    """Whether `prox` is that minimum, and not only near it."""
    selects: ClassVar[bool] = False
    """Whether y holds some coefficients of an orthonormal transform of x as they are, and nothing of the others."""

    @abstractmethod
    def norm(self, shape: Shape) -> float:
        """‖A‖, the largest singular value of A, or of its derivative, on an x of `shape`."""

    @abstractmethod
    def prox(self, v: Tensor, y: Tensor, rho: float, weight: Tensor | None = None) -> Tensor:
        """argmin over x of ½‖W^½(A(x) − y)‖² + ½ρ‖x − v‖², a stationary point of it where there are several.

        Args:
            v: (B, C, …) on the truth grid.
            y: (B, C, …) on the measurement's.
            rho: positive.
            weight: W's diagonal, positive, broadcasting against y; ones when None.

        Raises:
            InputError: conjugate gradients did not converge.
        """

    def check_noise(self, gaussian: bool) -> None:
        """Raise `InputError` where `prox` cannot weigh values as noise that is not Gaussian needs it."""


def proximal(operator: Operator, what: str, instead: str) -> ProximalOperator:
    """An operator that has a proximal map.

    Args:
        operator: any.
        what: needs the map, in words.
        instead: what would do without, in words.

    Raises:
        InputError: it has none.
    """
    if not isinstance(operator, ProximalOperator):
        raise InputError(f"{what} needs a proximal map, and {operator} has none; choose {instead}.")
    return operator


class LinearOperator(ProximalOperator):
    """y = Ax with an adjoint, a proximal map and a pseudo-inverse."""

    rcond: ClassVar[float] = 1e-2
    """Singular values below rcond·‖A‖ count for nothing in `pinv`."""

    @abstractmethod
    def adjoint(self, y: Tensor) -> Tensor:
        """Aᵀy, in the shape of the truth."""

    def prox(self, v: Tensor, y: Tensor, rho: float, weight: Tensor | None = None) -> Tensor:
        """As `ProximalOperator.prox`, by conjugate gradients on (AᵀWA + ρ)x = AᵀWy + ρv.

        Members with a closed form override it.
        """
        w = torch.ones((), dtype=v.dtype, device=v.device) if weight is None else weight
        rest = self.adjoint(w * (y - self.forward(v)))  # solved for the step x − v, which is small near the end
        step = conjugate_gradient(
            lambda u: self.adjoint(w * self.forward(u)) + rho * u, rest, lambda r: self.precondition(r, rho, w)
        )
        return v + step

    def precondition(self, r: Tensor, rho: float, weight: Tensor) -> Tensor:
        """An approximation of (AᵀWA + ρ)⁻¹r, symmetric and positive."""
        return r

    def pinv(self, y: Tensor) -> Tensor:
        """A⁺y by Tikhonov: a singular value σ is inverted as σ/(σ² + (rcond·‖A‖)²), so ‖AA⁺A − A‖ ≤ ½·rcond·‖A‖."""
        shape = self.truth_shape(tuple(y.shape[1:]))
        zero = y.new_zeros(len(y), *shape)
        return self.prox(zero, y, (self.rcond * self.norm(shape)) ** 2)
