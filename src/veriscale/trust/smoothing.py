"""The one Gaussian of the trust layer."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter


def smoothed(array: NDArray[Any], std: float, order: tuple[int, int] = (0, 0)) -> NDArray[np.float32]:
    """Filter rows and columns by a normalised Gaussian, cut at four std.

    Args:
        array: (H, W) or (H, W, C); channels are filtered one by one.
        std: in pixels; 0 leaves the array as it is.
        order: derivatives of the Gaussian along rows and columns.

    Returns:
        float32, the same shape; an impulse stays where it is, edges are mirrored (… b a | a b …).
    """
    planes = array if array.ndim == 3 else array[..., None]
    out = np.empty(planes.shape, np.float32)
    for c in range(planes.shape[2]):
        # float32 in between as well: sums along a line are float64 inside scipy, and memory stays small
        gaussian_filter(np.asarray(planes[..., c], np.float32), std, order, output=out[..., c], mode="reflect")
    return out.reshape(array.shape)
