"""Scans as what a prior of pictures learns from: slices in 8 bits, normalised volume by volume, the empty left out."""

from collections.abc import Iterator, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veriscale.errors import InputError, about
from veriscale.imaging.dicom.origin import identifiers, volume_of_series
from veriscale.imaging.dicom.series import read_series
from veriscale.imaging.formats.guard import AboveLimit
from veriscale.imaging.geometry import Affine
from veriscale.imaging.nifti.read import SeveralVolumes, read_volume
from veriscale.imaging.normalisation import levels_of
from veriscale.imaging.npz import EXTENSION, KEY, read_group, read_npz
from veriscale.imaging.rounding import quantised
from veriscale.imaging.volume import Volume
from veriscale.metrics.foreground import FLOOR

LEAST = 0.05
"""Of a slice's pixels, the share that has to lie above `FLOOR`; else it holds nothing to learn from."""

PLANES = "sagittal", "coronal", ""  # across the axes of a canonical volume; axial ones need no name
_AXIAL = 2
_SAME = 1e-2  # relative: spacings of an isotropic volume, which headers round


@dataclass(frozen=True, eq=False)
class Slices:
    """What one volume gives.

    Attributes:
        key: of the array, where an archive holds several; empty else.
        pixels: place along the slice axis → (H, W) uint8, in which 255 is 1, clipped.
        spacing: in the plane, in millimetres; None where it is not known.
        group: of its subject, where an archive tells it; empty else.
        affine: (4, 4) of the volume, voxels to millimetres; None where it is not known.
        patients: the PatientID of a DICOM series; empty else.
        plane: sagittal or coronal, of an isotropic volume; empty else.
    """

    key: str
    pixels: dict[int, NDArray[np.uint8]]
    spacing: tuple[float, float] | None
    group: str = ""
    affine: Affine | None = None
    patients: Set[str] = frozenset()
    plane: str = ""


def read_slices(path: Path, name: str, planes: str = "axial") -> Iterator[Slices]:
    """Cut a NIfTI file, the folder of a DICOM series, or each volume of an archive of arrays.

    Each volume is normalised by itself, as in use. It is cut from slice to slice; an isotropic one, whose slices nobody
    chose, into axial ones, or into those of all three planes.

    Args:
        path: of the file or folder.
        name: what an error names.
        planes: of isotropic volumes: axial or all.

    Raises:
        InputError: as the readers of such files, and `normalisation.levels_of`.

    Source: ours, docs/methods.md#training.
    """
    try:
        if path.is_dir():
            yield from _of_volume(volume_of_series(read_series(path)), planes)
        elif path.suffix.lower() == EXTENSION:
            volumes, group = read_npz(path), read_group(path)
            for key, values in volumes.items():
                samples = levels_of(values, f"{name}, {key!r},").applied(values)
                yield Slices("" if key == KEY else key, _kept(samples), None, group)
        else:
            yield from _of_volume(read_volume(path), planes)
    except SeveralVolumes as error:
        what = str(error).rpartition(";")[0]
        raise InputError(
            f"{about(what, name)}, and training takes one a file; write each to a file of its own, or leave it out"
        ) from error
    except AboveLimit as error:
        raise InputError(f"{about(str(error).rpartition(';')[0], name)}; crop it, or leave it out") from error
    except InputError as error:
        raise InputError(about(error, name)) from error


def _of_volume(volume: Volume, planes: str) -> Iterator[Slices]:
    isotropic = max(volume.spacing) - min(volume.spacing) <= _SAME * max(volume.spacing)
    patients = identifiers(volume, "PatientID")
    for axis in (2, 1, 0) if isotropic and planes == "all" else (_AXIAL if isotropic else volume.slice_axis,):
        first, second = (s for k, s in enumerate(volume.spacing) if k != axis)
        kept, plane = _kept(np.moveaxis(volume.samples, axis, 0)), PLANES[axis] if isotropic else ""
        yield Slices("", kept, (first, second), affine=volume.affine, patients=patients, plane=plane)


def _kept(samples: NDArray[Any]) -> dict[int, NDArray[np.uint8]]:
    return {k: quantised(each) for k, each in enumerate(samples) if float(np.mean(each > FLOOR)) >= LEAST}
