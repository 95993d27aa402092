"""Rounding to what an integer file holds."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from veriscale.imaging.blocks import row_blocks


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
