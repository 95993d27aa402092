"""A scan as it comes: a NIfTI file or a folder that holds a DICOM series."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from veriscale.errors import InputError
from veriscale.imaging.dicom.derivation import made_here
from veriscale.imaging.dicom.origin import volume_of_series
from veriscale.imaging.dicom.preamble import is_dicom
from veriscale.imaging.dicom.series import read_series
from veriscale.imaging.nifti.read import MAX_VOXELS
from veriscale.imaging.nifti.read import read_volume as read_nifti
from veriscale.imaging.scan_name import is_scan
from veriscale.imaging.slice_thickness import thickness_of
from veriscale.imaging.volume import Volume
from veriscale.settings import as_kind, as_name


@dataclass(frozen=True, eq=False)
class Scan:
    """One scan with what is known of it.

    Attributes:
        volume: its samples in space.
        sha256: of its file, or of the series' files in the order of their contents; empty for a volume of no file.
        thickness: of its slices in millimetres, where something says it.
        notes: sentences for the user, none of which tells whose scan it is.
        path: where it lies, with its sidecars beside it; None of one that comes from no file.
        files: sha256 of its file, or of each of the series.
    """

    volume: Volume
    sha256: str
    thickness: float | None
    notes: tuple[str, ...] = ()
    path: Path | None = None
    files: tuple[str, ...] = ()


def holds_series(path: Path) -> bool:
    """Whether a folder holds DICOM files: one is enough."""
    return _first_dicom(path) is not None


def holds_source(path: Path) -> bool:
    """Whether a folder holds DICOM files that Veriscale has not derived of others."""
    first = _first_dicom(path)
    return first is not None and not made_here(first)


def takes_scan(path: Path) -> bool:
    """Whether a path is a scan, by its name or, of a folder, by what it holds."""
    return is_scan(path) or holds_series(path)


def read_scan(path: Path, index: int | None = None, max_voxels: int = MAX_VOXELS, gaps: bool = False) -> Scan:
    """Read a scan.

    Args:
        path: a NIfTI file, or a folder with one DICOM series.
        index: which volume of a file of several, counted from 0.
        max_voxels: what a file's header may announce at most for one volume.
        gaps: whether a file may hold NaN, for what nobody knows.

    Raises:
        InputError: it is neither, or cannot be used.
    """
    if not path.is_dir():
        if not is_scan(path):
            raise InputError(f"{path} is not a scan; known: .nii, .nii.gz and folders of a DICOM series.")
        volume = read_nifti(path, index, max_voxels, gaps)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        return Scan(volume, digest, thickness_of(path, volume.spacing[volume.slice_axis]), (), path, (digest,))
    if index is not None:
        raise InputError("`--volume` chooses among the volumes of a file, and this is a DICOM series; leave it out.")
    series = read_series(path)
    volume = volume_of_series(series)
    files = [f for f in path.iterdir() if f.is_file() and is_dicom(f)]
    digests = sorted(hashlib.sha256(f.read_bytes()).digest() for f in files)
    whole, each = hashlib.sha256(b"".join(digests)).hexdigest(), tuple(digest.hex() for digest in digests)
    return Scan(volume, whole, series.thickness, series.notes, path, each)


def read_volume(path: str | os.PathLike[str], index: int | None = None) -> Volume:
    """The volume of a scan, which says where its voxels lie and not how thick its slices are.

    Args:
        path: a NIfTI file, or a folder with one DICOM series.
        index: which volume of a file of several, counted from 0.

    Raises:
        InputError: it is neither, or cannot be used.
    """
    which = None if index is None else as_kind("index", index, int)
    return read_scan(Path(as_name("path", path)), which).volume


def _first_dicom(path: Path) -> Path | None:
    files = sorted(f for f in path.iterdir() if f.is_file()) if path.is_dir() else []
    return next(filter(is_dicom, files), None)
