"""Writing scans as NIfTI, like the file that they came from."""

import gzip
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np

from veriscale.errors import InputError, closest
from veriscale.imaging.atomic import replacing
from veriscale.imaging.geometry import Grid, Shape
from veriscale.imaging.nifti.header import parsed
from veriscale.imaging.nifti.origin import NiftiOrigin
from veriscale.imaging.nifti.placement import place
from veriscale.imaging.scan_name import EXTENSIONS, split_scan_name
from veriscale.imaging.stored_numbers import StoredNumbers
from veriscale.imaging.volume import Volume

_LONGEST_SIDE = 32767  # of NIfTI-1: an int16
_TEXTS = ("descrip", "aux_file", "db_name", "intent_name", "data_type", "unused_str")  # where names of people end up
_LEVEL = 6  # of gzip


def write_volume(
    volume: Volume, path: str | os.PathLike[str], force: bool = False, *, stored: StoredNumbers | None = None
) -> list[str]:
    """Write a volume in its file's own axes, type, slope, units and byte order; it appears whole or not at all.

    Values are not clipped but to what a file of integers holds. No text of the file's header is kept, and none of its
    extensions. A volume of another kind of file gets a new NIfTI-1 header. The same volume gives the same bytes.

    Args:
        volume: in canonical axes.
        path: ends in .nii or .nii.gz.
        force: replace a file that is there.
        stored: numbers of another kind than the file's: a mask's, or those of a standard deviation.

    Returns:
        A line for each thing that the file does not hold: values clipped, a position in the sform alone; often none.

    Raises:
        InputError: no volume, another extension, too many voxels along an axis for NIfTI-1, a file already there
            without `force`, or a folder or disk that refuses it.
    """
    if not isinstance(volume, Volume):
        raise InputError(f"a {type(volume).__name__} is no volume; give one of `read_volume` or of a result, its image")
    file = Path(path)
    extension = split_scan_name(file)[1].lower()
    if extension not in EXTENSIONS:
        raise InputError(f"cannot write {file}: scans are written as NIfTI; {closest(extension, EXTENSIONS)}")
    numbers = stored or volume.origin.stored
    header, notes = _header(volume, stored, file)
    numbers = replace(numbers, dtype=header.get_data_dtype())  # in the file's byte order
    outside, clipped = volume.origin.orientation.outside(volume.samples), 0
    with replacing(file, force) as temporary, _opened(temporary, extension) as stream:
        stream.write(header.binaryblock + bytes(4))  # no extensions
        for k in range(outside.shape[2]):  # slice by slice: no second volume in float64
            stack, lost = numbers.numbers(volume.levels.undone(outside[:, :, k]))
            stream.write(stack.tobytes(order="F"))
            clipped += lost
    if clipped:
        notes.append(
            f"clipped to what {numbers.dtype.name} with the scan's slope holds: "
            f"{clipped / outside.size:.2%} of the values lay outside"
        )
    return notes


@contextmanager
def _opened(file: Path, extension: str) -> Iterator[IO[bytes]]:
    with file.open("wb") as plain:
        if extension == ".nii":
            yield plain
            return
        with gzip.GzipFile("", "wb", _LEVEL, plain, mtime=0) as stream:  # neither name nor time in the file
            yield stream  # type: ignore[misc]


def _header(volume: Volume, stored: StoredNumbers | None, file: Path) -> tuple[Any, list[str]]:
    origin, orientation = volume.origin, volume.origin.orientation
    grid = Grid(orientation.affine_outside(volume.affine, volume.shape), orientation.values_outside(volume.shape))
    if isinstance(origin, NiftiOrigin):
        header, old, before = parsed(origin.header.block), origin.header.affine, origin.header.shape
        if origin.index is not None:
            header["dim"][0] = 3
    else:
        header, old, before = _new(origin.slice_axis), np.eye(4), grid.shape
        stored = stored or origin.stored
    if header["dim"].dtype.itemsize == 2 and max(grid.shape) > _LONGEST_SIDE:
        raise InputError(
            f"cannot write {file}: {max(grid.shape)} voxels along an axis are too many for NIfTI-1, whose sides end at "
            f"{_LONGEST_SIDE}"
        )
    notes = place(header, old, grid)
    _set_sizes(header, before, grid.shape, origin.slice_axis)
    if stored is not None:
        _set_numbers(header, stored)
    for field in set(_TEXTS) & set(header.keys()):
        header[field] = b""
    header["vox_offset"] = len(header.binaryblock) + 4
    return header, notes


def _new(slice_axis: int) -> Any:
    """The header of a grid whose voxels are millimetres, as scanners place them."""
    import nibabel

    header = nibabel.Nifti1Header()
    header["qform_code"], header["sform_code"] = 1, 1
    header["srow_x"], header["srow_y"], header["srow_z"] = np.eye(4)[:3]
    header["pixdim"][:4] = 1
    header["dim"][0] = 3
    header.set_xyzt_units("mm")
    header.set_dim_info(slice=slice_axis)
    return header


def _set_sizes(header: Any, before: Shape, shape: Shape, slice_axis: int) -> None:
    dimensions = int(header["dim"][0])
    header["dim"] = [dimensions if shape[2] == 1 else max(3, dimensions), *shape, 1, 1, 1, 1]
    if shape[slice_axis] != before[slice_axis]:  # the times of slices that are no more
        for field in ("slice_code", "slice_start", "slice_end", "slice_duration"):
            header[field] = 0


def _set_numbers(header: Any, stored: StoredNumbers) -> None:
    """Numbers that are not the file's: its scale, its window and its intent do not speak of them."""
    header.set_data_dtype(stored.dtype.newbyteorder("="))
    header["scl_slope"], header["scl_inter"] = stored.slope, stored.intercept
    header["cal_min"], header["cal_max"], header["intent_code"] = 0, 0, 0
    header["intent_p1"], header["intent_p2"], header["intent_p3"] = 0, 0, 0
