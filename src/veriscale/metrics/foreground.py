"""What of a scan is the body, by the truth alone or by the measurement alone: the voxels that count in its scores."""

import numpy as np
import numpy.typing as npt
from scipy.ndimage import affine_transform, binary_fill_holes

from veriscale.errors import InputError
from veriscale.imaging.geometry import Grid
from veriscale.imaging.volume import Volume

FLOOR = 0.05
"""Of the way from the scan's low to its high level: what lies below is air."""

Mask = npt.NDArray[np.bool_]


def foreground(samples: npt.NDArray[np.floating]) -> Mask:
    """The voxels above a twentieth of the scan's levels, and those that they enclose.

    Args:
        samples: (X, Y, Z), in which 0 and 1 are the levels of the scan, as a `Volume`'s samples are.

    Raises:
        InputError: there is none.

    Source: ours, docs/methods.md#numbers-of-scans
    """
    found: Mask = binary_fill_holes(samples > FLOOR)
    return _some(found)


def foreground_on(grid: Grid, measurement: Volume) -> Mask:
    """The foreground of a measurement on the voxels of its truth: each is what the measurement's nearest voxel is.

    Whoever has no truth finds the same, as a certificate's evaluated domain has to be found.

    Args:
        grid: of the truth, (X, Y, Z).
        measurement: of its own levels.

    Raises:
        InputError: there is none.

    Source: ours, docs/methods.md#numbers-of-draws
    """
    to = np.linalg.inv(measurement.affine) @ grid.affine
    own = foreground(measurement.samples).astype(np.uint8)
    nearest = affine_transform(own, to[:3, :3], to[:3, 3], grid.shape, order=0, mode="nearest")
    return _some(nearest.astype(np.bool_))


def _some(found: Mask) -> Mask:
    if not found.any():
        raise InputError(
            f"the foreground is empty: no voxel lies above {FLOOR:g} on the way from low to high level, so that "
            "none counts; one with a body inside of its field of view would do"
        )
    return found
