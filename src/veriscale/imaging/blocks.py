"""Passes over a picture that need no second canvas."""

from collections.abc import Iterator

import numpy as np

_BLOCK = 1 << 22  # values at once: 16 MiB of float32, whatever the picture's size


def row_blocks(shape: tuple[int, ...]) -> Iterator[slice]:
    """Rows of an array of this shape in blocks of a few megabytes."""
    step = max(1, _BLOCK * shape[0] // max(1, int(np.prod(shape, dtype=np.int64))))
    return (slice(start, start + step) for start in range(0, shape[0], step))
