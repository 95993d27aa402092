"""Volumes in NumPy's archives, which say nothing of millimetres."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veriscale.errors import InputError
from veriscale.imaging.formats.guard import decoding, first_bytes

EXTENSION = ".npz"
KEY = "image"
"""Of the volume where an archive holds one, beside whatever else."""
GROUP = "group"
"""Of a word beside that volume: to which group of a study its subject belongs."""


def read_npz(path: Path) -> dict[str, NDArray[Any]]:
    """The volumes of an archive, (slices, rows, columns): the one under `KEY`, else one under each of its keys.

    Raises:
        InputError: no such file, no such archive, damaged, empty, or an array that is no volume of numbers.
    """
    first_bytes(path, 4, "an archive of arrays")
    with decoding(path, "NPZ"), np.load(path) as archive:
        keys = [KEY] if KEY in archive.files else archive.files
        found = {key: archive[key] for key in keys}
    if not found:
        raise InputError(f"{path} is empty: it holds no array")
    for key, array in found.items():
        if array.ndim != 3 or not array.size or array.dtype.kind not in "iuf":
            raise InputError(
                f"{path} has under the key {key!r} {array.dtype} of shape {array.shape}, which is no volume; numbers "
                "of shape (slices, rows, columns) would do"
            )
    return found


def read_group(path: Path) -> str:
    """The word under `GROUP` of an archive with one volume; empty where there is none.

    Raises:
        InputError: as `read_npz`, or what is there is no word.
    """
    with decoding(path, "NPZ"), np.load(path) as archive:
        found = archive[GROUP] if {KEY, GROUP} <= set(archive.files) else np.array("")
    if found.shape or found.dtype.kind != "U":
        raise InputError(
            f"{path} has under the key {GROUP!r} {found.dtype} of shape {found.shape}, which is no word; a text such "
            "as 'DCM' would do"
        )
    return str(found)
