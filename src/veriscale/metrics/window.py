"""Separable windows over a picture: the smoothing inside SSIM and the energy pyramid."""

import numpy as np
import numpy.typing as npt


def gaussian_taps(std: float, radius: int) -> npt.NDArray[np.float64]:
    """Return the 2·radius + 1 samples of a Gaussian of this std, in pixels, summing to 1."""
    taps = np.exp(-0.5 * (np.arange(-radius, radius + 1) / std) ** 2)
    return np.asarray(taps / taps.sum(), np.float64)


def smooth_valid(field: npt.NDArray[np.floating], taps: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """Correlate both axes of a (H, W) field with the taps, where they fit: (H − n + 1, W − n + 1)."""
    taps = taps.astype(field.dtype)
    rows = field.shape[0] - len(taps) + 1
    columns = field.shape[1] - len(taps) + 1
    field = sum((tap * field[i : i + rows] for i, tap in enumerate(taps)), np.zeros((), field.dtype))
    return sum((tap * field[:, i : i + columns] for i, tap in enumerate(taps)), np.zeros((), field.dtype))


def smooth(field: npt.NDArray[np.floating], taps: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """Correlate both axes of a (H, W) field with the taps, the field mirrored at its edges: (H, W)."""
    return smooth_valid(np.pad(field, len(taps) // 2, mode="symmetric"), taps)
