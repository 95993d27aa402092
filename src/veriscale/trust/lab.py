"""CIE Lab of sRGB pictures, scaled so that each coordinate spans about one."""

import numpy as np
from numpy.typing import NDArray

from veriscale.imaging.colour import as_channels

# XYZ of R, G and B for the primaries of ITU-R BT.709 and white D65. White is the sum of each row, so that grey has
# a = b = 0 to the last digit of float32.
_XYZ = np.array([[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]])
_CORNER = 6 / 29  # below its cube f is a straight line


def rescaled_lab(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """(L/100, a/254 + 1/2, b/254 + 1/2) of sRGB samples.

    Args:
        samples: (..., C) in [0, 1], C = 1 (taken as R = G = B) or 3.

    Returns:
        (..., 3) float32.

    Source: CIE 15:2004, section 8.2.1; the scales are those of Adame et al. 2025 (arXiv 2502.09664).
    """
    encoded = as_channels(np.asarray(samples, np.float32), 3)
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    xyz = linear @ np.asarray(_XYZ / _XYZ.sum(axis=1, keepdims=True), np.float32).T
    x, y, z = np.moveaxis(np.where(xyz > _CORNER**3, np.cbrt(xyz), xyz / (3 * _CORNER**2) + 4 / 29), -1, 0)
    return np.stack([1.16 * y - 0.16, (500 / 254) * (x - y) + 0.5, (200 / 254) * (y - z) + 0.5], axis=-1)
