"""A few numbers about a measurement that photographs, scans, screenshots and noisy pictures do not share."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from veriscale.errors import InputError
from veriscale.imaging.colour import as_channels

SMALLEST = 8  # pixels along a side: one block of noise, and two pixels at half the size
TOLERANCE = 0.1  # a tenth more contrast, or another tenth of the pixels grey, is no drift
_STEP = 1 / 255
_BLOCK = 5
_QUIET = 0.05  # share of the blocks that are quieter than what is called the noise

Float = NDArray[np.float64]


def statistics(measurement: NDArray[Any]) -> Float:
    """Describe a measurement by numbers whose unit is a difference that does not matter.

    In this order, each divided by TOLERANCE:

    - brightness: log-odds of the mean luma;
    - contrast: log of the luma's standard deviation;
    - fineness: log of the detail of one pixel over that of two, by differences across 2 × 2 pixels;
    - quietness: log of the noise in the quietest blocks of 5 × 5 pixels (the 5 % quantile) of the luma;
    - own noise: the same for the noise that the channels do not share, the least standard deviation along any
      direction of colour; in photographs detail is shared, noise of a sensor or added later is not;
    - grey share: share of the pixels with equal channels: 1 for scans, near 0 for photographs in colour;
    - flat share: share of the pixels equal to those below and to the right: screenshots and drawings.

    Logarithms start at half a step of 8 bits, so that constant pictures have them. A grey picture is described as the
    colour picture with equal channels.

    Args:
        measurement: (h, w, C) in [0, 1], C = 1 or 3.

    Returns:
        (7,) finite float64.

    Raises:
        InputError: a side is below 8 pixels, or a value is not finite.

    Source: ours, docs/methods.md#drift; the noise by the mask of Immerkær 1996.
    """
    if min(measurement.shape[:2]) < SMALLEST:
        raise InputError(
            f"The drift check needs a measurement of at least {SMALLEST}×{SMALLEST} pixels, "
            f"got {measurement.shape[1]}×{measurement.shape[0]}."
        )
    if not np.isfinite(measurement).all():
        raise InputError("The measurement holds NaN or infinite values, so that it cannot be checked for drift.")
    colour = as_channels(measurement.astype(np.float64), 3)
    grey = as_channels(colour, 1)
    mean = np.clip(grey.mean(), 0, 1)
    noise = _noise(colour)
    values = [
        np.log((mean + _STEP) / (1 - mean + _STEP)),
        _log(grey.std()),
        _log(_detail(grey)) - _log(_detail(_halved(grey))),
        _log(_quiet(as_channels(noise, 1))),
        _log(_quiet(noise)),
        np.mean(np.ptp(colour, axis=2) < _STEP / 2),
        np.mean(_flat(colour)),
    ]
    return np.array(values) / TOLERANCE


def _log(level: Any) -> Any:
    return np.log(level + _STEP / 2)


def _detail(x: Float) -> Any:
    """Root mean square of (a − b − c + d)/2 over 2 × 2 pixels: 1 for white noise of standard deviation 1."""
    return np.sqrt(np.mean((x[1:, 1:] - x[1:, :-1] - x[:-1, 1:] + x[:-1, :-1]) ** 2)) / 2


def _halved(x: Float) -> Float:
    height, width, channels = x.shape
    whole = x[: height // 2 * 2, : width // 2 * 2]
    return np.asarray(whole.reshape(height // 2, 2, width // 2, 2, channels).mean(axis=(1, 3)))


def _noise(x: Float) -> Float:
    """(h − 2, w − 2, C): second differences along both axes, which planes and straight edges along them do not have."""
    rows = x[2:] - 2 * x[1:-1] + x[:-2]
    return np.asarray((rows[:, 2:] - 2 * rows[:, 1:-1] + rows[:, :-2]) / 6)


def _quiet(noise: Float) -> Any:
    """The 5 % quantile, over blocks, of the least standard deviation along any direction of colour."""
    rows, columns, channels = noise.shape[0] // _BLOCK, noise.shape[1] // _BLOCK, noise.shape[2]
    blocks = noise[: rows * _BLOCK, : columns * _BLOCK].reshape(rows, _BLOCK, columns, _BLOCK, channels)
    moments = np.einsum("iajbc,iajbd->ijcd", blocks, blocks) / _BLOCK**2
    least = np.linalg.eigvalsh(moments)[..., 0]
    return np.sqrt(np.quantile(np.maximum(least, 0), _QUIET))


def _flat(x: Float) -> NDArray[np.bool_]:
    down, right = x[1:, :-1] == x[:-1, :-1], x[:-1, 1:] == x[:-1, :-1]
    return np.asarray((down & right).all(axis=2))
