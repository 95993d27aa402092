"""Reading NIfTI scans."""

import gzip
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from veriscale.errors import InputError
from veriscale.imaging.formats.guard import AboveLimit, decoding, first_bytes
from veriscale.imaging.nifti.header import LONGEST, NiftiHeader, checked_header, header_size
from veriscale.imaging.nifti.origin import NiftiOrigin
from veriscale.imaging.orientation import orientation_of
from veriscale.imaging.volume import Volume, volume_of

MAX_VOXELS = 256_000_000  # 1 GB of float32
_GZIP = b"\x1f\x8b"
_DEFLATED = 1032  # the most bytes that one of deflate stands for


class SeveralVolumes(InputError):
    """A file holds several volumes, and none of them was asked for."""


def read_volume(
    path: str | os.PathLike[str], index: int | None = None, max_voxels: int = MAX_VOXELS, gaps: bool = False
) -> Volume:
    """Read a NIfTI-1 or NIfTI-2 scan, gzipped or not, known by its content and not by its name.

    Axes are brought to right, anterior, superior, and intensities to [0, 1] by `normalisation.levels_of`.

    Args:
        path: the file.
        index: which volume of a file of several, counted from 0.
        max_voxels: what the header may announce at most for one volume.
        gaps: whether NaN is taken, for what nobody knows.

    Raises:
        InputError: no such file, not such a scan, damaged or truncated, too large; colours or complex numbers; a
            position that is missing or singular; several volumes without `index`, or fewer than it asks for; NaN, or no
            contrast.
    """
    file = Path(path)
    zipped = first_bytes(file, 2, "a scan") == _GZIP
    with _opened(file, zipped) as stream:
        with decoding(file, "NIfTI"):
            head = stream.read(LONGEST)
        header = checked_header(head[: header_size(head, str(file))], str(file))
        which = _which(header, index, file)
        _check_size(header, file, zipped, max_voxels)
        numbers = _numbers(header, which, stream, file)
    origin = NiftiOrigin(header, orientation_of(header.affine), index if header.volumes > 1 else None)
    return volume_of(numbers, header.affine, origin, str(file), gaps)


@contextmanager
def _opened(file: Path, zipped: bool) -> Iterator[IO[bytes]]:
    with file.open("rb") as plain:
        if not zipped:
            yield plain
            return
        with gzip.GzipFile(fileobj=plain) as stream:
            yield stream  # type: ignore[misc]


def _which(header: NiftiHeader, index: int | None, file: Path) -> int:
    n = header.volumes
    if index is None and n > 1:
        raise SeveralVolumes(f"{file} holds {n} volumes; say which with `--volume`, 0 to {n - 1}")
    if index is not None and not 0 <= index < n:
        has = f"{n} volumes, 0 to {n - 1}" if n > 1 else "one volume, which needs none"
        raise InputError(f"`--volume` {index} is not in {file}: it holds {has}")
    return index or 0


def _check_size(header: NiftiHeader, file: Path, zipped: bool, max_voxels: int) -> None:
    """Refuse by the header, before memory is taken for it."""
    i, j, k = header.shape
    if i * j * k > max_voxels:
        raise AboveLimit(
            f"{file} says it is {i} × {j} × {k}, above the limit of {max_voxels} voxels; "
            f"if you trust it, raise the limit: `--max-pixels` {i * j * k} (max_voxels= in Python)"
        )
    most = file.stat().st_size * (_DEFLATED if zipped else 1)
    if header.offset + header.volumes * header.volume_bytes > most:
        raise _too_short(header, file, None if zipped else most - header.offset)


def _numbers(header: NiftiHeader, which: int, stream: IO[bytes], file: Path) -> NDArray[Any]:
    """(I, J, K), as stored."""
    with decoding(file, "NIfTI"):
        stream.seek(header.offset + which * header.volume_bytes)
        samples = stream.read(header.volume_bytes)
        stream.read(1)  # at the end of a gzip file, its checksum
    if len(samples) < header.volume_bytes:
        raise _too_short(header, file, which * header.volume_bytes + len(samples))
    return np.frombuffer(samples, header.stored.dtype).reshape(header.shape, order="F")


def _too_short(header: NiftiHeader, file: Path, found: int | None) -> InputError:
    holds = "too few" if found is None else max(0, found)
    return InputError(
        f"{file} is truncated: its header announces {_announced(header)}, "
        f"{header.volumes * header.volume_bytes} bytes, and it holds {holds}; copy it again"
    )


def _announced(header: NiftiHeader) -> str:
    size = " × ".join(map(str, header.shape))
    return f"{header.volumes} volumes of {size}" if header.volumes > 1 else size
