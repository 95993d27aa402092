"""NIfTI files as scanners and tools write them, byte by byte; and the real ones, where they are."""

import gzip
import os
from pathlib import Path

import nibabel
import numpy as np
import pytest

DATA = Path(os.environ.get("VERISCALE_DATA", Path(__file__).parents[4] / "shared/data")) / "mri"
AFFINE = np.array([[0, 0, -3.0, 10], [-1.5, 0, 0, 20], [0, 2.0, 0, -30], [0, 0, 0, 1]])


def real(*patterns: str) -> list[object]:
    """A parameter for each file, or one that skips with a reason."""
    files = sorted(file for pattern in patterns for file in DATA.glob(pattern))
    if not files:
        return [pytest.param(None, marks=pytest.mark.skip(reason=f"no {patterns[0]} in VERISCALE_DATA"))]
    return [pytest.param(file, id=file.name) for file in files]


def numbers(shape=(5, 6, 7), dtype="<i2", seed=0):
    kind = np.dtype(dtype)
    low, high = (-200, 3000) if kind.kind == "i" and kind.itemsize > 1 else (0, 120)
    return np.random.default_rng(seed).integers(low, high, shape).astype(kind)


def header_for(array, affine=AFFINE, *, qform=1, sform=1, kind=nibabel.Nifti1Header, **fields):
    """nibabel's header; further fields as they are."""
    header = kind(endianness=">" if array.dtype.byteorder == ">" else "<")
    header.set_data_dtype(array.dtype)
    header.set_data_shape(array.shape)
    header.set_qform(affine, 1)
    header.set_sform(affine, 1)
    if not sform:
        header["srow_x"], header["srow_y"], header["srow_z"] = np.zeros((3, 4))
    header["qform_code"], header["sform_code"] = qform, sform
    header["scl_slope"], header["scl_inter"] = 0, 0
    header["vox_offset"] = len(header.binaryblock) + 4
    header.set_xyzt_units("mm", "sec")
    for field, value in fields.items():
        header[field] = value
    return header


def write(path, array, header, *, cut=None):
    """A file of a header and numbers; `cut` leaves out so many bytes of its end."""
    content = header.binaryblock + bytes(4) + array.tobytes(order="F")
    content = content[: len(content) - (cut or 0)]
    path.write_bytes(gzip.compress(content, 1) if path.suffix == ".gz" else content)
    return path


def stored(path):
    """The numbers in a file, and its header, both as nibabel and nobody else reads them."""
    image = nibabel.load(path)
    with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
        block = file.read(540)
    raw = type(image.header)(block[: len(image.header.binaryblock)], check=False)
    return image.dataobj.get_unscaled(), raw, image.affine
