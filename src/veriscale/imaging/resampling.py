"""A volume on the voxels of another: by its place in the world, NaN where it knows nothing."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import affine_transform, gaussian_filter

from veriscale.imaging.geometry import Grid, spacing_of
from veriscale.imaging.volume import Volume

Array = NDArray[np.float32]

_EDGE = 1e-3  # of a voxel: headers round


def resampled(volume: Volume, grid: Grid) -> Array:
    """(X, Y, Z) of the grid, between the volume's voxels linearly; NaN outside its field of view and where it has NaN.

    Where the grid is coarser than the volume, what is taken is the mean about a voxel: a Gaussian along each axis of
    the volume, whose variance is by how much that of the grid's voxel, as a box, is the greater.

    Args:
        volume: may hold NaN, for what nobody knows.
        grid: whose axes need not be parallel to the volume's.

    Source: ours, docs/methods.md#guides-in-use
    """
    known = np.isfinite(volume.samples)
    values, share = np.where(known, volume.samples, np.float32(0)), known.astype(np.float32)
    std = _smoothing(volume, grid)
    if std.any():
        values, share = (gaussian_filter(each, std.tolist(), mode="nearest") for each in (values, share))
    (values, share), inside = (_taken(each, volume, grid, order=1) for each in (values, share)), field_of(volume, grid)
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Array = np.where(inside & (share > 1 - _EDGE), values / share, np.float32(np.nan))
    return found


def boundaries_on(volume: Volume, grid: Grid) -> Array:
    """(X, Y, Z) of the grid, 1 at a voxel whose label differs from that of a neighbour by a face, 0 elsewhere.

    Labels are told apart and their numbers mean nothing. NaN as of `resampled`.

    Args:
        volume: of labels.
        grid: as of `resampled`.

    Source: ours, docs/methods.md#guides-in-use
    """
    labels = _taken(volume.samples, volume, grid, order=0)
    known, found = field_of(volume, grid) & np.isfinite(labels), np.zeros(grid.shape, np.float32)
    for axis in range(3):
        along, there, into = (np.moveaxis(each, axis, 0) for each in (labels, known, found))
        differs = (along[1:] != along[:-1]) & there[1:] & there[:-1]
        into[1:][differs] = into[:-1][differs] = 1
    return np.where(known, found, np.float32(np.nan))


def field_of(volume: Volume, grid: Grid) -> NDArray[np.bool_]:
    """(X, Y, Z), which voxels of a grid have their centre in the field of view of a volume."""
    to = np.linalg.inv(volume.affine) @ grid.affine
    x, y, z = np.ogrid[tuple(slice(n) for n in grid.shape)]
    inside = np.ones(grid.shape, np.bool_)
    for axis, n in enumerate(volume.shape):
        at = to[axis, 0] * x + to[axis, 1] * y + to[axis, 2] * z + to[axis, 3]
        inside &= (at > -0.5 - _EDGE) & (at < n - 0.5 + _EDGE)
    return inside


def _taken(samples: NDArray[Any], volume: Volume, grid: Grid, order: int) -> NDArray[Any]:
    to = np.linalg.inv(volume.affine) @ grid.affine
    whole, rounding = np.rint(to), (1e-5, 1e-5, 1e-5, _EDGE)
    to = np.where(np.abs(to - whole) < rounding, whole, to)  # the same grid but for rounding gives the same samples
    return np.asarray(affine_transform(samples, to[:3, :3], to[:3, 3], grid.shape, order=order, mode="nearest"))


def _smoothing(volume: Volume, grid: Grid) -> NDArray[np.float64]:
    """(3,), standard deviations in voxels along the volume's axes."""
    edges = spacing_of(volume.affine)
    axes = volume.affine[:3, :3] / edges
    wide = np.square(axes.T @ grid.affine[:3, :3]).sum(1) / 12  # of a box with the grid's edges, along the axes
    more = wide - np.square(edges) / 12
    return np.where(more > 1e-3 * np.square(edges), np.sqrt(np.maximum(more, 0)) / edges, 0.0)
