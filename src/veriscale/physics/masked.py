"""Operators that keep some coefficients of an orthonormal transform: y = M·S·x."""

from abc import abstractmethod
from functools import lru_cache
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from veriscale.physics.operator import LinearOperator, Shape


class Masked(LinearOperator):
    """y lives on the grid of Sx, with zeros where nothing is measured; all channels are measured alike.

    With S orthonormal and M of zeros and ones the proximal map is one division for any weight, and A⁺ = Aᵀ.
    """

    selects: ClassVar[bool] = True

    @abstractmethod
    def measured(self, shape: Shape) -> NDArray[np.bool_]:
        """M for a y of `shape`, broadcasting against its last axes; not empty."""

    def analyse(self, x: Tensor) -> Tensor:
        """Sx; x itself here."""
        return x

    def synthesise(self, z: Tensor) -> Tensor:
        """Sᵀz; z itself here."""
        return z

    def forward(self, x: Tensor) -> Tensor:
        """M·S·x, (B, C, …) → the same shape."""
        return self._mask(x) * self.analyse(x)

    def adjoint(self, y: Tensor) -> Tensor:
        """Sᵀ·M·y."""
        return self.synthesise(self._mask(y) * y)

    def norm(self, shape: Shape) -> float:
        """1: something is measured."""
        return 1.0

    def prox(self, v: Tensor, y: Tensor, rho: float, weight: Tensor | None = None) -> Tensor:
        """As `LinearOperator.prox`: Sᵀ(W·M·y + ρ·S·v)/(W·M + ρ), closed form for any W."""
        w = 1.0 if weight is None else weight
        return v + self.synthesise(self._mask(y) * (y - self.analyse(v)) * (w / (w + rho)))

    def pinv(self, y: Tensor) -> Tensor:
        """A⁺y = Aᵀy, exact."""
        return self.adjoint(y)

    def support(self, shape: Shape) -> Tensor | None:
        """M, bool, of as many axes as `shape`."""
        mask = torch.tensor(self.measured(shape))
        return mask.reshape([1] * (len(shape) - mask.ndim) + list(mask.shape))

    @property
    def divisible(self) -> bool:
        """Not: the holes are those of the whole."""
        return False

    def _mask(self, like: Tensor) -> Tensor:
        return torch.tensor(self.measured(tuple(like.shape[1:])), dtype=like.dtype, device=like.device)


@lru_cache(maxsize=16)
def random_subset(n: int, count: int, seed: int, stream: int = 0) -> NDArray[np.bool_]:
    """`count` of n places at random, (n,); the same for the same arguments on every machine and in every version.

    Args:
        n: how many places there are.
        count: how many are taken.
        seed: of the generator, from 0 on.
        stream: another number, another independent choice for the same seed.

    Source: Philox4x64-10 of Salmon et al. 2011, whose raw output NumPy fixes; the smallest of n values are taken.
    """
    taken = np.zeros(n, np.bool_)
    values = np.random.Philox(key=[seed, stream]).random_raw(n)
    taken[np.argsort(values, kind="stable")[:count]] = True
    taken.setflags(write=False)  # shared by the cache
    return taken
