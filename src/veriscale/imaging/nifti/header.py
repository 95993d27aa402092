"""A NIfTI header, checked: how large the scan is, what its numbers mean, and where its voxels lie.

Source: NIfTI-1 (nifti1.h, 2007) and NIfTI-2 (2011).
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from veriscale.errors import InputError
from veriscale.imaging.geometry import Affine, Shape, checked_affine
from veriscale.imaging.stored_numbers import StoredNumbers

LONGEST = 540  # bytes of a NIfTI-2 header; NIfTI-1 has 348
_MAGIC = {348: (344, b"n+1\0", b"ni1\0"), 540: (4, b"n+2\0\r\n\x1a\n", b"ni2\0\r\n\x1a\n")}
_MILLIMETRES = {1: 1000.0, 3: 0.001}  # of a metre and a micron; all else counts as millimetres
_COLOURS, _COMPLEX = (128, 2304), (32, 1792, 2048)
_NUMBERS = "int8 to int64, uint8 to uint64, float32 or float64"


@dataclass(frozen=True, eq=False)
class NiftiHeader:
    """What is known of a file before its samples are read.

    Attributes:
        block: the header's 348 or 540 bytes.
        shape: (I, J, K), of one volume.
        volumes: how many there are.
        stored: the file's numbers.
        affine: (4, 4), stored voxels to millimetres: the sform where its code is above 0, else the qform.
        slice_axis: the stored axis from slice to slice: dim_info's where it says one, else the third.
        offset: of the samples in the file, in bytes.
    """

    block: bytes = field(repr=False)  # its texts may tell whose scan it is
    shape: Shape
    volumes: int
    stored: StoredNumbers
    affine: Affine
    slice_axis: int
    offset: int

    @property
    def volume_bytes(self) -> int:
        """Of the samples of one volume."""
        i, j, k = self.shape
        return i * j * k * self.stored.dtype.itemsize


def header_size(head: bytes, name: str) -> int:
    """Of the header that a file begins with, in bytes.

    Args:
        head: the file's first `LONGEST` bytes, or all that it has.
        name: what an error names.

    Raises:
        InputError: it is no NIfTI file, one half of a pair, or ends too early.
    """
    size = next((n for n in _MAGIC for order in ("little", "big") if head[:4] == n.to_bytes(4, order)), None)
    if size is None:
        raise InputError(f"{name} is not a NIfTI scan: it does not begin with a NIfTI header; known: .nii, .nii.gz")
    if len(head) < size:
        raise InputError(f"{name} is truncated: it ends within its header; copy it again")
    at, single, pair = _MAGIC[size]
    magic = head[at : at + len(single)]
    if magic == pair:
        raise InputError(f"{name} is one half of a .hdr/.img pair; convert the pair to a single .nii or .nii.gz file")
    if magic != single:
        raise InputError(
            f"{name} is not a NIfTI scan: its header has the magic {magic[:4]!r} and not {single[:4]!r}, as in "
            "Analyze 7.5 or a damaged file; convert it to .nii.gz"
        )
    return size


def parsed(block: bytes) -> Any:
    """nibabel's header of the bytes of one, unchecked, a copy."""
    import nibabel

    kind: Any = nibabel.Nifti1Header if len(block) == 348 else nibabel.Nifti2Header
    little = block[:4] == len(block).to_bytes(4, "little")
    return kind(block, endianness="<" if little else ">", check=False)


def checked_header(block: bytes, name: str) -> NiftiHeader:
    """Check the bytes of a header.

    Args:
        block: 348 or 540 bytes, as `header_size` says.
        name: what an error names.

    Raises:
        InputError: sizes that are none, colours or complex numbers, a scale or a position that is missing or none.
    """
    header = parsed(block)
    shape, volumes = _sizes(header, name)
    return NiftiHeader(
        block, shape, volumes, _stored(header, name), _affine(header, name), _slice_axis(header), _offset(header, name)
    )


def sform_of(header: Any) -> Affine:
    """(4, 4), in the header's units of length, whatever its code."""
    matrix = np.eye(4)
    matrix[:3] = [header["srow_x"], header["srow_y"], header["srow_z"]]
    return matrix


def qform_of(header: Any) -> Affine:
    """(4, 4), in the header's units of length, whatever its code.

    Raises:
        ValueError: its quaternion is none.
    """
    copy = header.copy()
    copy["pixdim"][0] = -1 if header["pixdim"][0] < 0 else 1  # 0 means 1
    copy["pixdim"][1:4] = np.abs(header["pixdim"][1:4])
    matrix: Affine = copy.get_qform()
    return matrix


def millimetres(header: Any) -> float:
    """In the header's unit of length."""
    return _MILLIMETRES.get(int(header["xyzt_units"]) & 7, 1.0)


def _sizes(header: Any, name: str) -> tuple[Shape, int]:
    n, *sizes = (int(v) for v in header["dim"])
    if not 1 <= n <= 7:
        raise InputError(f"{name} is damaged: its header says it has {n} dimensions; 3 or 4 would do")
    sizes = sizes[:n]
    if min(sizes) < 1:
        raise InputError(f"{name} is empty: a size of {' × '.join(map(str, sizes))} holds no voxels")
    if n == 1:
        raise InputError(f"{name} is a line of {sizes[0]} numbers and not a scan; 3 or 4 dimensions would do")
    i, j, k, *others = (*sizes, 1) if n == 2 else sizes
    volumes = 1
    for size in others:
        volumes *= size
    return (i, j, k), volumes


def _stored(header: Any, name: str) -> StoredNumbers:
    code = int(header["datatype"])
    if code in _COLOURS:
        raise InputError(f"{name} holds colours (RGB), which are no intensities; convert it to one of {_NUMBERS}")
    if code in _COMPLEX:
        raise InputError(f"{name} holds complex numbers; save their magnitude as a scan of its own")
    try:
        dtype = header.get_data_dtype()
    except (LookupError, ValueError):  # no such code
        dtype = np.dtype("V")
    if dtype.kind not in "iuf":
        raise InputError(f"{name} has numbers of a type that is not read, code {code}; known: {_NUMBERS}")
    slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
    if slope == 0 or not np.isfinite(slope):  # no scale, by the standard
        return StoredNumbers(dtype)
    if not np.isfinite(intercept):
        raise InputError(f"{name} has a scl_inter of {intercept:g}, which is no number; correct its header")
    return StoredNumbers(dtype, slope, intercept)


def _affine(header: Any, name: str) -> Affine:
    if int(header["sform_code"]) > 0:
        matrix = sform_of(header)
    elif int(header["qform_code"]) > 0:
        try:
            matrix = qform_of(header)
        except ValueError as error:
            raise InputError(f"{name} has a quaternion that is no rotation; correct its header") from error
    else:
        raise InputError(
            f"{name} does not say where its voxels lie: the codes of sform and qform are 0; convert the scan anew, or "
            "set one of them"
        )
    matrix[:3] *= millimetres(header)
    return checked_affine(matrix, name)


def _slice_axis(header: Any) -> int:
    said = int(header["dim_info"]) >> 4 & 3
    return said - 1 if said else 2


def _offset(header: Any, name: str) -> int:
    least = len(header.binaryblock) + 4
    offset = float(header["vox_offset"])
    if offset == 0:
        return least
    if not (np.isfinite(offset) and offset >= least):
        raise InputError(f"{name} is damaged: its samples cannot begin at byte {offset:g}; at least {least}")
    return int(offset)
