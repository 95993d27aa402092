"""The numbers of a scan's file: a type, and the slope and intercept that make them values."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class StoredNumbers:
    """Values v of a scan, in its own units, are slope·n + intercept of the numbers n in its file.

    Attributes:
        dtype: of the numbers, with its byte order.
        slope: not 0.
        intercept: in the scan's units.
    """

    dtype: np.dtype[Any]
    slope: float = 1.0
    intercept: float = 0.0

    @property
    def step(self) -> float:
        """Between neighbouring values, in the scan's units; 0 of floating point."""
        return 0.0 if self.dtype.kind == "f" else abs(self.slope)

    def values(self, numbers: NDArray[Any]) -> NDArray[Any]:
        """Numbers as values: float64, or the very numbers where they are values already."""
        if (self.slope, self.intercept) == (1.0, 0.0):
            return numbers
        return np.asarray(numbers, np.float64) * self.slope + self.intercept

    def numbers(self, values: NDArray[np.float64]) -> tuple[NDArray[Any], int]:
        """Values as numbers of the type, rounded and clipped where it is one of integers.

        Returns:
            The numbers, and how many of them were clipped.
        """
        numbers = (values - self.intercept) / self.slope
        if self.dtype.kind == "f":
            return numbers.astype(self.dtype), 0
        kind = np.iinfo(self.dtype)
        least, most = float(kind.min), float(kind.max)
        if most > kind.max:  # 64 bits: the next double is 2⁶³, which they do not hold
            most = float(np.nextafter(most, 0))
        rounded = np.rint(numbers)
        clipped = np.clip(rounded, least, most)
        return clipped.astype(self.dtype), int(np.count_nonzero(clipped != rounded))
