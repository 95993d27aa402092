"""Structural similarity, window by window: of photographs and of slices of scans."""

import numpy as np
import numpy.typing as npt

from veriscale.metrics.window import gaussian_taps, smooth_valid

STD, RADIUS = 1.5, 5
WINDOW = 2 * RADIUS + 1
"""Pixels a side."""


def similarity_map(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], width: float) -> npt.NDArray[np.floating]:
    """The similarity of two pictures around each pixel whose window lies in them.

    Args:
        x: (H, W), at least `WINDOW` a side.
        y: the same shape.
        width: the range of the values.

    Returns:
        (H − 10, W − 10), at most 1.

    Source: Wang et al. 2004, eq. 13: 11×11 Gaussian window of std 1.5, K1 = 0.01, K2 = 0.03.
    """
    taps = gaussian_taps(STD, RADIUS)
    mean_x, mean_y = smooth_valid(x, taps), smooth_valid(y, taps)
    var_x = smooth_valid(x * x, taps) - mean_x**2
    var_y = smooth_valid(y * y, taps) - mean_y**2
    covariance = smooth_valid(x * y, taps) - mean_x * mean_y
    c1, c2 = (0.01 * width) ** 2, (0.03 * width) ** 2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    structure = (2 * covariance + c2) / (var_x + var_y + c2)
    return np.asarray(luminance * structure)
