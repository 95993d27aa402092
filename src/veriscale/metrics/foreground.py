"""What of a scan is the body, by its truth alone: the voxels that count in its scores."""

import numpy as np
import numpy.typing as npt
from scipy.ndimage import binary_fill_holes

FLOOR = 0.05
"""Of the way from the scan's low to its high level: what lies below is air."""


def foreground(truth: npt.NDArray[np.floating]) -> npt.NDArray[np.bool_]:
    """The voxels above a twentieth of the scan's levels, and those that they enclose.

    Args:
        truth: (X, Y, Z), in which 0 and 1 are the levels of the scan, as a `Volume`'s samples are.

    Source: ours, docs/methods.md#numbers-of-scans
    """
    found: npt.NDArray[np.bool_] = binary_fill_holes(truth > FLOOR)
    return found
