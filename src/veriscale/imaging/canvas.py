"""Canvases for large pictures."""

import errno
import math
import os
import tempfile
from typing import IO

import numpy as np
from numpy.typing import NDArray

from veriscale.errors import InputError

IN_MEMORY = 64_000_000  # pixels: 768 MB of float32 colour

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_ZEROS = bytes(1 << 20)


def canvas(
    shape: tuple[int, ...], folder: str | os.PathLike[str] | None = None, in_memory: int = IN_MEMORY
) -> NDArray[np.float32]:
    """A float32 array of zeros, in memory up to 64 megapixels by default and in a temporary file above.

    The file has no name (or loses it when closed, where the system wants one): it goes with the last reference to the
    array, and with the process however that ends.

    Args:
        shape: (H, W), or more axes of which the shortest is the channels'.
        folder: where the file lives; the system's temporary folder by default.
        in_memory: pixels, up to which there is no file.

    Raises:
        InputError: the folder is missing or not writable, or the disk cannot hold the canvas.
    """
    pixels = math.prod(shape) // (min(shape) if len(shape) > 2 else 1)
    if pixels <= in_memory:
        return np.zeros(shape, np.float32)
    size = 4 * math.prod(shape)
    where = os.fspath(folder) if folder is not None else tempfile.gettempdir()
    try:
        with tempfile.TemporaryFile(dir=where) as file:
            _reserve(file, size)
            return np.asarray(np.memmap(file, np.float32, "r+", shape=shape))
    except OSError as error:
        if error.errno in _FULL:
            raise InputError(f"{where} has no room for a canvas of {size / 1e9:.1f} GB; free space there") from error
        raise InputError(f"no temporary file can be made in {where}: {error.strerror or error}") from error


def _reserve(file: IO[bytes], size: int) -> None:
    """Claim the disk space now: writing to a mapped page that the disk cannot hold would kill the process."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, size)
        return
    for start in range(0, size, len(_ZEROS)):
        file.write(_ZEROS[: size - start])
    file.flush()
