"""Noise alone."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from veriscale.physics.masked import Masked
from veriscale.physics.operator import Shape


@dataclass(frozen=True)
class Denoise(Masked):
    """Every value is measured as it is, and noise is all there is to undo: `denoise`.

    The anchor `fast` is one evaluation of the denoiser at the noise's own level.
    """

    name: ClassVar[str] = "denoise"

    def measured(self, shape: Shape) -> NDArray[np.bool_]:
        """(H, W), True everywhere."""
        return np.ones(shape[-2:], np.bool_)

    def support(self, shape: Shape) -> None:
        """All of it."""

    @property
    def divisible(self) -> bool:
        """Each value is for itself."""
        return True

    def measurement_shape(self, shape: Shape) -> Shape:
        """The same shape."""
        return shape

    def truth_shape(self, shape: Shape) -> Shape:
        """The same shape."""
        return shape

    def __str__(self) -> str:
        return self.name
