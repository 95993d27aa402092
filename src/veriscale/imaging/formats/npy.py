"""NPY: one NumPy array; never a pickle."""

import re
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from veriscale.imaging.formats.format import Beside, Format
from veriscale.imaging.formats.guard import check_size, decoding, quiet
from veriscale.imaging.photo import Photo, check_kind, from_array

_HEADERS = {(1, 0): npy_format.read_array_header_1_0, (2, 0): npy_format.read_array_header_2_0}


def read(path: Path, max_pixels: int) -> Photo:
    """Read (H, W) or (H, W, 1 to 4), uint8, uint16 or floating point; the 2nd or 4th channel is alpha."""
    with decoding(path, "NPY"), quiet():  # numpy parses the header as Python, which may warn
        with path.open("rb") as file:
            version = npy_format.read_magic(file)
            if version not in _HEADERS:
                raise ValueError(f"version {version} is for named fields, not pictures")
            shape, _, dtype = _HEADERS[version](file)
        check_kind(shape, dtype, str(path))
        check_size(path, shape[1], shape[0], max_pixels)
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    return replace(from_array(array, str(path)), format="npy")


def write(pixels: NDArray[Any], beside: Beside, file: IO[bytes]) -> None:
    """Write (H, W) or (H, W, 2 to 4) float32; what belongs beside them has no place in it."""
    npy_format.write_array_header_1_0(file, npy_format.header_data_from_array_1_0(pixels))
    file.write(pixels.data)  # not ndarray.tofile, which hides why a write failed


NPY = Format("npy", "NPY", (".npy",), re.escape(npy_format.MAGIC_PREFIX), read, write, depths=(32,), tagged=False)
