"""The millimetres of a page of volumes: along the scan's own axes, from a corner of what is shown."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from veriscale.errors import InputError
from veriscale.imaging.geometry import Affine, Grid, spacing_of, world_of
from veriscale.imaging.volume import Volume

Vector = NDArray[np.float64]

FLAT = 0.02  # of the scan's range: what is nearer to the background than this is background
MARGIN = 3.0  # millimetres of background left around the rest
_SAME_AXES = 1e-3  # sine of an angle
_NAMED = 0.17  # cosine from which on a direction is named at an edge: less than 80 degrees off


@dataclass(frozen=True, eq=False)
class Frame:
    """A box along the axes of a scan.

    Attributes:
        axes: (3, 3), its columns the unit directions (RAS) of the canonical axes.
        origin: (3,), the corner of the box nearest to left, posterior, inferior, in world millimetres.
        size: (3,), of the box in millimetres.
        field: (3,), of the whole field of view in millimetres.
    """

    axes: NDArray[np.float64]
    origin: Vector
    size: Vector
    field: Vector

    def edge(self, affine: Affine) -> Vector:
        """(3,), where the outer corner of a grid's voxel 0 lies, in millimetres from the corner of the box."""
        return np.asarray(np.linalg.solve(self.axes, _corner(affine) - self.origin))

    def letters(self) -> list[tuple[str, str]]:
        """What to write at both ends of each axis: R or L, A or P, S or I; of oblique axes two or three, nearest first.

        Returns:
            (3,) pairs: where the axis comes from, and where it goes to.
        """
        return [(_letters(-self.axes[:, axis]), _letters(self.axes[:, axis])) for axis in range(3)]

    @property
    def tilt(self) -> float:
        """Largest angle between an axis and the body's, in degrees."""
        return float(np.degrees(np.arccos(np.clip(np.abs(np.diag(self.axes)).min(), 0, 1))))


def frame_of(grid: Grid, shown: Sequence[Volume]) -> Frame:
    """The box of what is not background in any of the volumes, within a grid's field of view.

    Args:
        grid: of the results.
        shown: the volumes that decide.

    Raises:
        InputError: the volumes' axes are not parallel.
    """
    spacing = spacing_of(grid.affine)
    whole = Frame(grid.affine[:3, :3] / spacing, _corner(grid.affine), spacing * grid.shape, spacing * grid.shape)
    low, high = np.full(3, np.inf), np.full(3, -np.inf)
    for volume in shown:
        step = spacing_of(volume.affine)
        if np.abs(volume.affine[:3, :3] / step - whole.axes).max() > _SAME_AXES:
            raise InputError(
                "a report shows volumes of one scan, and these have other axes: give them on parallel ones"
            )
        found = foreground(volume.samples)
        if found is not None:
            edge = whole.edge(volume.affine)
            low = np.minimum(low, edge + step * found[0] - MARGIN)
            high = np.maximum(high, edge + step * found[1] + MARGIN)
    low, high = np.maximum(low, 0), np.minimum(high, whole.size)
    if not (low < high).all():
        return whole
    return Frame(whole.axes, whole.origin + whole.axes @ low, high - low, whole.field)


def foreground(samples: NDArray[np.float32]) -> tuple[NDArray[np.intp], NDArray[np.intp]] | None:
    """The first voxel of what is not background and the one after its last: (3,) each; None where all is background.

    The background is the median of the volume's faces, and what differs from it by less than `FLAT`.

    Args:
        samples: (X, Y, Z), 0 and 1 the scan's levels.
    """
    faces = [np.take(samples, end, axis).ravel() for axis in range(3) for end in (0, -1)]
    background = float(np.median(np.concatenate(faces)))
    seen = [np.zeros(n, bool) for n in samples.shape]
    for x, slab in enumerate(samples):  # slab by slab: no second volume
        stands_out = np.abs(slab - background) > FLAT
        along_y, along_z = stands_out.any(axis=1), stands_out.any(axis=0)
        seen[0][x] = along_y.any()
        seen[1] |= along_y
        seen[2] |= along_z
    if not seen[0].any():
        return None
    ends = [np.flatnonzero(along)[[0, -1]] for along in seen]
    return np.array([first for first, _ in ends]), np.array([last + 1 for _, last in ends])


def _corner(affine: Affine) -> Vector:
    return world_of(affine, (-0.5, -0.5, -0.5))


def _letters(direction: Vector) -> str:
    nearest = np.argsort(-np.abs(direction), kind="stable")
    return "".join("RAS"[k] if direction[k] > 0 else "LPI"[k] for k in nearest if abs(direction[k]) > _NAMED)
