"""Mean and spread of pictures that come one after the other."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veriscale.errors import InputError

_BLOCK = 1 << 15  # values treated at once: several float64 copies of them stay in the cache


@dataclass(frozen=True, eq=False)
class Moments:
    """Of `count` arrays of one shape, value by value.

    Attributes:
        mean: float64.
        squares: float64, the squared deviations from the mean, summed over the arrays.
    """

    count: int
    mean: NDArray[np.float64]
    squares: NDArray[np.float64]

    @property
    def variance(self) -> NDArray[np.float64]:
        """With n − 1 in the denominator; for two arrays or more."""
        return self.squares / (self.count - 1)


def moments(arrays: Iterable[NDArray[Any]]) -> Moments:
    """Mean and squared deviations of arrays of any floating point type; equal ones have exactly 0.

    They are streamed: beside the array at hand two of float64 are held, however many there are.

    Raises:
        InputError: they are of different shapes.

    Source: Welford 1962.
    """
    mean = squares = np.empty(0)
    shape: tuple[int, ...] = ()
    count = 0
    for array in arrays:
        count += 1
        if count == 1:
            shape, mean, squares = array.shape, array.astype(np.float64).ravel(), np.zeros(array.size)
            continue
        if array.shape != shape:
            raise InputError(f"The draws of one picture have one shape, got {shape} and {array.shape}.")
        values = array.reshape(-1)
        for start in range(0, array.size, _BLOCK):
            part = slice(start, start + _BLOCK)
            delta = values[part] - mean[part]  # float64, since the mean is
            step = delta / count
            mean[part] += step
            squares[part] += delta * (delta - step)
    return Moments(count, mean.reshape(shape), squares.reshape(shape)) if count else Moments(0, mean, squares)
