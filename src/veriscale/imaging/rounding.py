"""Rounding to what an integer file holds, block by block, so that no pass needs a second canvas."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

_BLOCK = 1 << 22  # values at once: 16 MiB of float32, whatever the picture's size


def row_blocks(shape: tuple[int, ...]) -> Iterator[slice]:
    """Rows of an array of this shape in blocks of a few megabytes."""
    step = max(1, _BLOCK * shape[0] // max(1, int(np.prod(shape, dtype=np.int64))))
    return (slice(start, start + step) for start in range(0, shape[0], step))


def quantised(values: NDArray[np.floating[Any]], bit_depth: int = 8) -> NDArray[Any]:
    """Clip to [0, 1] and round to uint8 or uint16 (bit_depth 8 or 16), same shape."""
    out = np.empty(values.shape, np.uint8 if bit_depth == 8 else np.uint16)
    top = 2**bit_depth - 1
    for rows in row_blocks(values.shape):
        out[rows] = np.rint(np.clip(values[rows], 0, 1) * top)
    return out


def as_stored(values: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """What is read of a file of 8 bits that the values were written to: in [0, 1], same shape."""
    return quantised(values).astype(np.float32) / np.float32(255)
