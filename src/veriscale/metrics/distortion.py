"""Distance to the truth, pixel by pixel: MSE, PSNR and SSIM.

PSNR and SSIM speak of the picture as it is delivered: clipped, rounded to 8 bits, its border left out, as the published
tables for Set5 and BSD100 have it. MSE, from which the dial is defined, is neither clipped nor rounded.
"""

import math

import numpy as np
import numpy.typing as npt

from veriscale.errors import InputError
from veriscale.imaging.colour import luma
from veriscale.imaging.rounding import quantised
from veriscale.metrics.structural_similarity import WINDOW, similarity_map

Array = npt.NDArray[np.floating]


def mse(image: Array, truth: Array) -> float:
    """Return the mean squared error over all pixels and channels, unclipped.

    Args:
        image: (H, W, C), [0, 1] but for overshoot.
        truth: the same shape.

    Raises:
        InputError: the shapes differ.
    """
    check_same_shape(image, truth)
    return float(np.mean((image.astype(np.float64) - truth) ** 2))


def psnr_rgb(image: Array, truth: Array, border: int) -> float:
    """Return the peak signal-to-noise ratio over all channels, in dB; infinite for equal pictures.

    Args:
        image: (H, W, C), [0, 1].
        truth: the same shape.
        border: pixels left out at each side, by custom the scale.

    Raises:
        InputError: the shapes differ or nothing is left inside the border.
    """
    check_same_shape(image, truth)
    return _psnr(_crop(_to_8_bits(image), border), _crop(_to_8_bits(truth), border))


def psnr_luma(image: Array, truth: Array, border: int) -> float:
    """Return the PSNR of the BT.601 luma (16–235, rounded), in dB; arguments as `psnr_rgb`."""
    return _psnr(*_luma_pair(image, truth, border))


def ssim_luma(image: Array, truth: Array, border: int) -> float:
    """Return the mean structural similarity of the BT.601 luma; arguments as `psnr_rgb`.

    Source: Wang et al. 2004: 11×11 Gaussian window of std 1.5, K1 = 0.01, K2 = 0.03, range 255, where the window fits.

    Raises:
        InputError: the shapes differ or less than a window is left inside the border.
    """
    x, y = _luma_pair(image, truth, border)
    if min(x.shape) < WINDOW:
        raise InputError(
            f"SSIM needs at least {WINDOW} pixels a side inside the border, got {x.shape[1]}×{x.shape[0]}: "
            "use a larger picture"
        )
    return float(np.mean(similarity_map(x, y, 255)))


def check_same_shape(image: Array, truth: Array) -> None:
    """Raise `InputError` where a picture and its truth differ in shape."""
    if image.shape != truth.shape:
        raise InputError(
            f"the picture is {image.shape} and its truth {truth.shape}: both need the same height, width and channels"
        )


def _to_8_bits(pixels: Array) -> npt.NDArray[np.float64]:
    return quantised(pixels.astype(np.float64)).astype(np.float64)


def _luma_pair(image: Array, truth: Array, border: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    check_same_shape(image, truth)
    x, y = (np.rint(luma(_to_8_bits(pixels) / 255).astype(np.float64) * 255) for pixels in (image, truth))
    return _crop(x, border), _crop(y, border)


def _crop(field: npt.NDArray[np.float64], border: int) -> npt.NDArray[np.float64]:
    height, width = field.shape[:2]
    if min(height, width) <= 2 * border:
        raise InputError(f"a border of {border} leaves nothing of a {width}×{height} picture: use a larger picture")
    return field[border : height - border, border : width - border]


def _psnr(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> float:
    error = float(np.mean((x - y) ** 2))
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)
