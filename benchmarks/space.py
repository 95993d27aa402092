"""Where voxels lie in millimetres, by nibabel and numpy: the judge of what this library places."""

from collections.abc import Sequence

import numpy as np
from nibabel.affines import apply_affine
from scipy.ndimage import center_of_mass

_BACKGROUND = 0.05  # of the greatest value: it is subtracted, and what is below counts as 0


def apart(a: np.ndarray, b: np.ndarray, shape: Sequence[int]) -> float:
    """Millimetres between the grids of two affines (4, 4), at the farthest of the eight corners of a shape (3,)."""
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in shape])).reshape(3, -1).T
    return float(np.linalg.norm(apply_affine(a, corners) - apply_affine(b, corners), axis=1).max())


def centroid(values: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """(3,) mm, of values (I, J, K) above their background."""
    above = np.clip(values - _BACKGROUND * values.max(), 0, None)
    return np.asarray(apply_affine(affine, center_of_mass(above)))


def blob(shape: Sequence[int], affine: np.ndarray, at: np.ndarray, width: float) -> np.ndarray:
    """(I, J, K) float32, a Gaussian of 1000 at a world point (3,), of so many millimetres."""
    voxels = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    squares = np.square(apply_affine(affine, voxels) - at).sum(-1)
    return (1000 * np.exp(-0.5 * squares / width**2)).astype(np.float32)
