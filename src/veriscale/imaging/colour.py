"""Colour: luma, channel counts, alpha."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_FULL = (0.299, 0.587, 0.114)  # BT.601 luma of R, G, B, full range
_STUDIO = (65.481, 128.553, 24.966)  # the same times 219


def luma(pixels: NDArray[Any]) -> NDArray[Any]:
    """BT.601 luma in studio range, as tables of the super-resolution literature use it.

    Args:
        pixels: (..., C) in [0, 1], C = 1 (taken as R = G = B) or 3.

    Returns:
        (...) in [16, 235] / 255, of the pixels' type.

    Source: ITU-R BT.601-7; MATLAB's rgb2ycbcr: Y = (65.481 R + 128.553 G + 24.966 B + 16) / 255.
    """
    weights = np.asarray(_STUDIO if pixels.shape[-1] == 3 else (sum(_STUDIO),), pixels.dtype)
    return np.asarray((pixels @ weights + 16) / 255, pixels.dtype)


def as_channels(pixels: NDArray[Any], channels: int) -> NDArray[Any]:
    """Grey (..., 1) to colour (..., 3) by repetition, or back by full-range BT.601 luma; unchanged if it fits."""
    if pixels.shape[-1] == channels:
        return pixels
    if channels == 3:
        return np.repeat(pixels, 3, axis=-1)
    return np.asarray(pixels @ np.asarray(_FULL, pixels.dtype))[..., None]


def premultiplied(pixels: NDArray[Any], alpha: NDArray[Any] | None) -> NDArray[Any]:
    """Samples (..., C) times alpha (...): what may be averaged over pixels without hidden colours bleeding in."""
    return pixels if alpha is None else np.multiply(pixels, alpha[..., None])


def unpremultiplied(pixels: NDArray[Any], alpha: NDArray[Any] | None) -> NDArray[Any]:
    """Undo `premultiplied`; black where alpha is below half a step of 16 bits, since no colour is left there."""
    if alpha is None:
        return pixels
    seen = alpha[..., None] > 0.5 / 65535
    return np.asarray(np.divide(pixels, alpha[..., None], out=np.zeros_like(pixels), where=seen))
