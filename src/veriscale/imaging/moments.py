"""Mean and spread of pictures that come one after the other."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veriscale.errors import InputError

_BLOCK = 1 << 15  # values treated at once: several float64 copies of them stay in the cache


def moments(arrays: Iterable[NDArray[Any]]) -> tuple[int, NDArray[np.float64], NDArray[np.float64]]:
    """Arrays of one shape and any floating point type, streamed: beside the one at hand two of float64 are held.

    Returns:
        How many, their mean, and their squared deviations from it, summed over them; of equal ones exactly 0.

    Raises:
        InputError: they are of different shapes.

    Source: Welford 1962.
    """
    mean = squares = np.empty(0)
    shape: tuple[int, ...] = (0,)
    count = 0
    for count, array in enumerate(arrays, start=1):
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
    return count, mean.reshape(shape), squares.reshape(shape)
