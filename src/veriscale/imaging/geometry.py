"""Where voxels lie: affines from voxels to millimetres, and the finer grids of a factor or of a spacing.

World coordinates are millimetres to the right, anterior and superior (RAS), as in NIfTI. A voxel's index is that of
its centre, so that a grid of n voxels spans −½ to n − ½.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from veriscale.errors import InputError

Affine = NDArray[np.float64]
Shape = tuple[int, int, int]

_SAME = 1e-4  # relative: spacings that differ by less are one; scanners and float32 write 0.99999 for 1
_FINEST = 64  # voxels in the place of one along an axis: what the operators take
_FLAT = 1e-6  # volume of a voxel over that of the box with its edges: at less, the axes lie in a plane
_DIRECTIONS = ("left to right", "back to front", "foot to head")


@dataclass(frozen=True, eq=False)
class Grid:
    """Voxels in space.

    Attributes:
        affine: (4, 4), voxels to millimetres.
        shape: (X, Y, Z), how many there are.
    """

    affine: Affine
    shape: Shape


def checked_affine(affine: Any, name: str) -> Affine:
    """A copy in float64 of an affine that can be worked with.

    Args:
        affine: (4, 4), voxels to millimetres, or None where a file has none.
        name: what an error names: a file, or an argument.

    Raises:
        InputError: it is missing, no such matrix, not finite, or singular.
    """
    if affine is None:
        raise InputError(f"{name} does not say where its voxels lie: it has no affine; write one into it first")
    try:
        matrix = np.array(affine, np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"the affine of {name} is no matrix of numbers; a (4, 4) matrix would do") from error
    if matrix.shape != (4, 4) or not np.array_equal(matrix[3], (0, 0, 0, 1)):
        raise InputError(f"the affine of {name} is no (4, 4) matrix with a last row of 0, 0, 0, 1; correct its header")
    if not np.isfinite(matrix).all():
        raise InputError(f"the affine of {name} holds NaN or infinite values; correct its header")
    with np.errstate(over="ignore"):
        edges = spacing_of(matrix)
    if not edges.all() or not np.isfinite(edges).all() or abs(np.linalg.det(matrix[:3, :3] / edges)) < _FLAT:
        raise InputError(
            f"the affine of {name} is singular: its voxels have no volume, so that nothing can be placed; "
            "correct its header"
        )
    return matrix


def spacing_of(affine: Affine) -> NDArray[np.float64]:
    """(3,), millimetres from voxel to voxel along each axis."""
    edges: NDArray[np.float64] = np.linalg.norm(affine[:3, :3], axis=0)
    return edges


def shear_of(affine: Affine) -> float:
    """How far two axes are from a right angle at most: the cosine between them, 0 where all are at right angles."""
    directions = affine[:3, :3] / spacing_of(affine)
    return float(np.abs(directions.T @ directions - np.eye(3)).max())


def world_of(affine: Affine, voxels: ArrayLike) -> NDArray[np.float64]:
    """Voxel coordinates (…, 3) as millimetres, (…, 3)."""
    return np.asarray(voxels, np.float64) @ affine[:3, :3].T + affine[:3, 3]


def voxels_of(affine: Affine, world: ArrayLike) -> NDArray[np.float64]:
    """Millimetres (…, 3) as voxel coordinates, (…, 3)."""
    return (np.asarray(world, np.float64) - affine[:3, 3]) @ np.linalg.inv(affine[:3, :3]).T


def corners_of(shape: Shape) -> NDArray[np.float64]:
    """(8, 3), the voxel coordinates of the outermost voxels' centres."""
    return np.array(np.meshgrid(*[(0, n - 1) for n in shape])).reshape(3, 8).T.astype(np.float64)


def finer(affine: Affine, factors: Sequence[float]) -> Affine:
    """The affine (4, 4) of a grid with `factors` (3,) times as many voxels along each axis of the same field of view.

    Its voxel i sits at (i + ½)/factor − ½ of the old one. A factor below 1 gives a coarser grid.

    Source: ours, docs/methods.md#scans-geometry-and-intensity; the convention of `imaging.resize`.
    """
    step = 1 / np.asarray(factors, np.float64)
    return _moved(affine, step, step / 2 - 0.5)


def respaced(grid: Grid, spacing: Sequence[float | None]) -> Grid:
    """The grid of a requested spacing, its field of view centred on the old one's.

    Along an axis of n voxels there are n·old/new, rounded, at least one, exactly `spacing` apart; the middle of the
    grid stays where it is, so that what rounding adds or takes is the same at both ends.

    Args:
        grid: the measurement's.
        spacing: (3,), millimetres along each of its axes; None keeps an axis, and so does its own spacing to 1e-4.

    Raises:
        InputError: no such spacing, one coarser than the grid's, or one more than 64 times finer.

    Source: ours, docs/methods.md#scans-geometry-and-intensity
    """
    if len(spacing) != 3:
        raise InputError(f"`--spacing` has {len(spacing)} numbers; give three, one for each axis, or - to keep one")
    old = spacing_of(grid.affine)
    step, shift, shape = np.ones(3), np.zeros(3), list(grid.shape)
    for axis, (now, new, n) in enumerate(zip(old.tolist(), spacing, grid.shape, strict=True)):
        if new is None:
            continue
        if not (math.isfinite(new) and new > 0):
            raise InputError(f"`--spacing` {new:g} is no distance; give millimetres above 0, or - to keep an axis")
        if abs(new - now) <= _SAME * now:
            continue
        if new > now:
            raise InputError(
                f"`--spacing` {new:g} is coarser than the scan's {now:g} mm from {_direction(grid.affine, axis)}; "
                f"give at most {now:g} there, or - to keep it"
            )
        if now > _FINEST * new:
            raise InputError(
                f"`--spacing` {new:g} is more than {_FINEST} times finer than the scan's {now:g} mm from "
                f"{_direction(grid.affine, axis)}; give at least {now / _FINEST:.3g} there"
            )
        step[axis] = new / now
        shape[axis] = max(1, math.floor(n * now / new + 0.5))
        shift[axis] = (n - 1) / 2 - (shape[axis] - 1) / 2 * step[axis]
    x, y, z = shape
    return Grid(_moved(grid.affine, step, shift), (x, y, z))


def _moved(affine: Affine, step: NDArray[np.float64], shift: NDArray[np.float64]) -> Affine:
    """Of the grid whose voxel i sits at step·i + shift of the old one."""
    moved = np.array(affine, np.float64)
    moved[:3, 3] += affine[:3, :3] @ shift
    moved[:3, :3] *= step
    return moved


def _direction(affine: Affine, axis: int) -> str:
    return _DIRECTIONS[int(np.abs(affine[:3, axis]).argmax())]
