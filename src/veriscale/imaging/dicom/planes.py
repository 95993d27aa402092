"""Where each slice of a grid lies, as a header says it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from veriscale.errors import InputError
from veriscale.imaging.dicom.stack import LPS_TO_RAS

_PARALLEL = 1e-5  # of direction cosines: 4 µm over 40 cm
_SAME = 1e-3  # mm


@dataclass(frozen=True, eq=False)
class Planes:
    """A stack of parallel slices in the patient's coordinates, LPS.

    Attributes:
        orientation: (6,), ImageOrientationPatient.
        spacing: mm between rows, between columns.
        step: mm between slices.
        positions: (n, 3) mm, ImagePositionPatient of each slice.
    """

    orientation: tuple[float, ...]
    spacing: tuple[float, float]
    step: float
    positions: NDArray[np.float64]

    @property
    def heights(self) -> NDArray[np.float64]:
        """(n,) mm, along the normal."""
        across, down = np.reshape(self.orientation, (2, 3))
        heights: NDArray[np.float64] = self.positions @ np.cross(across, down)
        return heights


def planes_of(affine: NDArray[np.float64], slices: int) -> Planes:
    """The slices of a grid.

    Args:
        affine: (4, 4), from (row, column, slice) to RAS mm.
        slices: how many.

    Source: DICOM PS3.3 C.7.6.2.1.1.
    """
    lps = LPS_TO_RAS @ affine
    rows, columns, step = np.linalg.norm(lps[:3, :3], axis=0).tolist()
    orientation = np.concatenate([lps[:3, 1] / columns, lps[:3, 0] / rows])
    positions = lps[:3, 3] + np.arange(slices)[:, None] * lps[:3, 2]
    return Planes(tuple(orientation.tolist()), (rows, columns), step, positions)


def check_parallel(affine: NDArray[np.float64], source: NDArray[np.float64]) -> None:
    """Raise `InputError` unless the axes of a grid (4, 4) run as those of the source (4, 4)."""
    if affine.shape != (4, 4) or not np.isfinite(affine).all() or not np.array_equal(affine[3], [0, 0, 0, 1]):
        raise InputError("the affine of a derived series should be (4, 4), finite, with the last row 0 0 0 1")
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    directions = source[:3, :3] / np.linalg.norm(source[:3, :3], axis=0)
    if not lengths.all() or np.abs(affine[:3, :3] / lengths - directions).max() > _PARALLEL:
        raise InputError(
            "the axes of a derived series should run as the source's rows, columns and slices do; "
            "turn the samples and the affine back before they are written"
        )


def contributing(derived: Planes, source: Planes) -> list[tuple[int, ...]]:
    """For each derived slice the source slices that it was made from.

    A slice at the place of a source slice, where all are, was made from that one. On another grid of slices every
    source slice contributes: restoring through the plane sees all of them.
    """
    apart = np.abs(derived.heights[:, None] - source.heights)
    nearest = apart.argmin(axis=1)
    if len(set(nearest.tolist())) == len(nearest) and apart.min(axis=1).max() < _SAME:
        return [(index,) for index in nearest.tolist()]
    return [tuple(range(len(source.heights)))] * len(derived.heights)
