"""Antialiased resampling with half-pixel centres: the one definition of the kernels.

Downsampling stretches the kernel by the factor; edges are symmetric. With `bicubic` (Keys, a = -1/2) this is the
convention behind the published Set5 and BSD100 tables.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from veriscale.errors import InputError, closest

FloatArray = NDArray[np.float32]


def _bicubic(t: NDArray[np.float64]) -> NDArray[np.float64]:
    # Keys 1981, eq. 4 with a = -1/2.
    t = np.abs(t)
    near = 1.5 * t**3 - 2.5 * t**2 + 1
    far = -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2
    return np.where(t <= 1, near, np.where(t < 2, far, 0.0))


def _box(t: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where((t >= -0.5) & (t < 0.5), 1.0, 0.0)


def _lanczos3(t: NDArray[np.float64]) -> NDArray[np.float64]:
    # Duchon 1979 with three lobes.
    return np.where(np.abs(t) < 3, np.sinc(t) * np.sinc(t / 3), 0.0)


def _gaussian(t: NDArray[np.float64]) -> NDArray[np.float64]:
    # A standard deviation of half an output pixel, cut at four of them: ImageMagick's Gaussian resize filter. Its gain
    # at the coarse grid's Nyquist frequency is 0.29. It does not interpolate: at the same size it blurs a little.
    return np.where(np.abs(t) < 2, np.exp(-2 * t**2), 0.0)


KERNELS: dict[str, tuple[Callable[[NDArray[np.float64]], NDArray[np.float64]], float]] = {
    "bicubic": (_bicubic, 2.0),
    "box": (_box, 0.5),
    "lanczos3": (_lanczos3, 3.0),
    "gaussian": (_gaussian, 2.0),
}


def taps(
    n_in: int, n_out: int, kernel: str = "bicubic", step: float | None = None
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Which input samples make each output sample, and with what weight.

    Args:
        n_in: length of the input axis.
        n_out: length of the output axis; it covers the same extent.
        kernel: a name in `KERNELS`.
        step: input samples from one output sample to the next, where it is not n_in/n_out; both have one middle.

    Returns:
        Indices and weights, both (n_out, taps); each row of weights sums to one.

    Raises:
        InputError: the kernel is unknown.

    Source: Keys 1981; the stretched kernel of MATLAB's imresize.
    """
    if kernel not in KERNELS:
        raise InputError(f"Unknown resampling kernel {kernel!r}; {closest(kernel, KERNELS)}.")
    function, radius = KERNELS[kernel]
    middle = 0.0 if step is None else (n_in - n_out * step) / 2
    step = step or n_in / n_out
    stretch = max(step, 1.0)
    centre = (np.arange(n_out) + 0.5) * step - 0.5 + middle
    first = np.floor(centre - radius * stretch).astype(np.int64)
    index = first[:, None] + np.arange(int(np.ceil(2 * radius * stretch)) + 2)
    weight = function((centre[:, None] - index) / stretch)
    weight /= weight.sum(axis=1, keepdims=True)
    kept = np.flatnonzero(np.any(weight != 0, axis=0))
    index, weight = index[:, kept[0] : kept[-1] + 1], weight[:, kept[0] : kept[-1] + 1]
    period = index % (2 * n_in)  # symmetric edges: … 1 0 | 0 1 2 …
    return np.minimum(period, 2 * n_in - 1 - period), weight


def matrix(n_in: int, n_out: int, kernel: str = "bicubic") -> NDArray[np.float64]:
    """The same resampling as a dense (n_out, n_in) matrix: for batches of small patches and for tests."""
    index, weight = taps(n_in, n_out, kernel)
    dense = np.zeros((n_out, n_in))
    np.add.at(dense, (np.arange(n_out)[:, None], index), weight)
    return dense


def resize(pixels: FloatArray, height: int, width: int, kernel: str = "bicubic") -> FloatArray:
    """Resample (H, W, ...) to (height, width, ...), float32.

    Rows are made one after another, so that beside input and output only one row of taps is held.
    """
    rows, row_weight = taps(pixels.shape[0], height, kernel)
    columns, column_weight = taps(pixels.shape[1], width, kernel)
    column_weight = column_weight.astype(np.float32)
    shape = (height, width, *pixels.shape[2:])
    out = np.empty(shape, np.float32)
    for r in range(height):
        line = np.tensordot(row_weight[r].astype(np.float32), pixels[rows[r]], axes=1)
        out[r] = np.einsum("wt,wt...->w...", column_weight, line[columns])
    return out
