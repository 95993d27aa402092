"""Compressed sensing: a random subset of the coefficients of a scrambled picture."""

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from veriscale.decimals import shortest
from veriscale.physics.cosine import cosine_transform
from veriscale.physics.keys import check_range, check_seed
from veriscale.physics.masked import Masked, random_subset
from veriscale.physics.operator import Shape

_SIGNS, _PLACES = 1, 2  # streams of random numbers


@dataclass(frozen=True)
class Sensing(Masked):
    """Random signs of the pixels, orthonormal 2-D DCT-II, a random subset: `sensing:ratio=0.5,seed=0`.

    It acts on the last two axes. Coefficients that are not measured are 0 in y, which is no picture.

    Args:
        ratio: the share of coefficients that are measured, in (0, 1]; exactly that share, rounded, at least one.
        seed: of signs and subset.

    Raises:
        InputError: a value out of range.

    Source: Do, Gan, Nguyen, Tran 2012 (structurally random matrices).
    """

    ratio: float
    seed: int = 0

    name: ClassVar[str] = "sensing"
    picture: ClassVar[bool] = False
    local: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_range(self.name, "ratio", self.ratio, 0, 1, above=True)
        check_seed(self.name, self.seed)

    def measured(self, shape: Shape) -> NDArray[np.bool_]:
        """(H, W), True where measured."""
        height, width = shape[-2:]
        count = max(1, round(self.ratio * height * width))
        return random_subset(height * width, count, self.seed, _PLACES).reshape(height, width)

    def analyse(self, x: Tensor) -> Tensor:
        """DCT of the signed pixels."""
        return cosine_transform(self._signs(x) * x)

    def synthesise(self, z: Tensor) -> Tensor:
        """The inverse of `analyse`."""
        return self._signs(z) * cosine_transform(z, inverse=True)

    def _signs(self, like: Tensor) -> Tensor:
        height, width = like.shape[-2:]
        return _signs(height, width, self.seed).to(like)

    def __str__(self) -> str:
        return f"{self.name}:ratio={shortest(self.ratio)},seed={self.seed}"


@lru_cache(maxsize=8)
def _signs(height: int, width: int, seed: int) -> Tensor:
    bits = np.random.Philox(key=[seed, _SIGNS]).random_raw(height * width) >> np.uint64(63)
    return torch.from_numpy(1 - 2 * bits.astype(np.int8)).reshape(height, width)
