"""Kernels of blurs: sampled Gaussians, and those of files."""

from functools import lru_cache
from math import ceil, cos, radians, sin, sqrt
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from veriscale.errors import InputError

_CUT = 4  # standard deviations out to which a Gaussian is sampled
_LARGEST = 4096  # a side of a kernel from a file


@lru_cache(maxsize=16)
def gaussian_kernel(stds: tuple[float, float], angle: float, height: int, width: int) -> NDArray[np.float64]:
    """A normalised Gaussian, (rows, columns) odd and at most (height, width).

    Args:
        stds: along and across, in pixels.
        angle: of the first axis, in degrees counter-clockwise from the horizontal.
        height: of the picture.
        width: of the picture.
    """
    along = -sin(radians(angle)), cos(radians(angle))  # row, column; rows count downwards
    across = along[1], -along[0]
    reach = [_CUT * sqrt((stds[0] * along[axis]) ** 2 + (stds[1] * across[axis]) ** 2) for axis in (0, 1)]
    radius = [min(ceil(r), (n - 1) // 2) for r, n in zip(reach, (height, width), strict=True)]
    row, column = (np.arange(-r, r + 1.0) for r in radius)
    u = row[:, None] * along[0] + column * along[1]
    v = row[:, None] * across[0] + column * across[1]
    kernel: NDArray[np.float64] = np.exp(-0.5 * ((u / stds[0]) ** 2 + (v / stds[1]) ** 2))
    kernel /= kernel.sum()
    kernel.setflags(write=False)  # shared by the cache
    return kernel


def read_kernel(path: Path) -> tuple[NDArray[np.float64], float]:
    """The kernel of a NPY file divided by its sum, and the sum.

    Raises:
        InputError: no such file, no array, not 2-D, not numbers, not finite, too large, or its sum is zero.
    """
    try:
        with path.open("rb") as stream:
            array = np.lib.format.read_array(stream, allow_pickle=False)
    except OSError as error:
        raise InputError(f"The kernel {path} cannot be read: {error.strerror or error}.") from error
    except (ValueError, EOFError, MemoryError) as error:
        raise InputError(f"The kernel {path} is not a whole NPY file of numbers; write it with numpy.save.") from error
    if array.ndim != 2 or array.dtype.kind not in "fiu" or not 0 < max(array.shape) <= _LARGEST or array.size == 0:
        raise InputError(
            f"The kernel {path} is of shape {array.shape} and type {array.dtype}; "
            f"a kernel is 2-D, of integers or floats, at most {_LARGEST} a side."
        )
    kernel = array.astype(np.float64)
    if not np.isfinite(kernel).all():
        raise InputError(f"The kernel {path} holds NaN or infinite values; replace them by numbers first.")
    with np.errstate(over="ignore"):
        total, size = float(kernel.sum()), float(np.abs(kernel).sum())
    if not np.isfinite(size) or abs(total) <= 1e-6 * size:
        raise InputError(f"The kernel {path} sums to {total:.3g} and cannot be normalised; a blur's sum is not zero.")
    return kernel / total, total
