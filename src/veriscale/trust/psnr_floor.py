"""What a certificate of the greatest error says about PSNR inside the mask."""

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veriscale.errors import InputError


@dataclass(frozen=True)
class Floor:
    """The floor in dB, or None and the sentence that says why there is none."""

    decibel: float | None
    reason: str | None = None


def psnr_floor(alpha: float | Fraction, loss: str, discrepancy: str) -> Floor:
    """The least expected PSNR inside the mask that E[loss] ≤ alpha implies.

    Inside the mask every channel of every pixel errs by at most L, so MSE ≤ L² and PSNR ≥ −20 log₁₀ L; −log is convex,
    so E[PSNR] ≥ −20 log₁₀ E[L] ≥ −20 log₁₀ alpha (Jensen). An empty mask has L = 0 and counts as +∞ dB: say how many
    there are and what L is over the others, since over those alone E[L] may exceed alpha. It is the mean of PSNR that
    has the floor, not PSNR of the mean MSE; the picture space is that of the discrepancy, with peak 1.

    Args:
        alpha: risk level, above 0.
        loss: name of the certificate's loss.
        discrepancy: its discrepancy as a string.

    Source: Adame et al. 2025 (arXiv 2502.09664); the conditions are ours.
    """
    if loss != "sup":
        return Floor(None, f"There is no PSNR floor: the loss '{loss}' does not bound every trusted pixel; 'sup' does.")
    if discrepancy != "pointwise":
        return Floor(
            None,
            f"There is no PSNR floor: the discrepancy '{discrepancy}' does not bound every channel of a pixel; "
            "'pointwise' does.",
        )
    return Floor(-20 * math.log10(alpha))


def masked_psnr(image: NDArray[Any], truth: NDArray[Any], mask: NDArray[np.bool_]) -> float:
    """PSNR over the pixels of a mask and all channels, in dB with peak 1; +∞ for an empty mask or no error.

    Args:
        image: (H, W, C) as delivered.
        truth: the same shape.
        mask: (H, W) bool, true where the image is trusted.

    Raises:
        InputError: the shapes do not fit, or a trusted value is not finite.
    """
    if image.shape != truth.shape or mask.shape != image.shape[:2]:
        raise InputError(
            f"PSNR in a mask needs pictures of one shape and their mask, got {image.shape}, {truth.shape} and "
            f"{mask.shape}."
        )
    error = np.subtract(image[mask], truth[mask], dtype=np.float64)
    mse = float(np.mean(error**2)) if error.size else 0.0
    if not math.isfinite(mse):
        raise InputError("A trusted pixel of the image or the truth is NaN or infinite, so that it has no PSNR.")
    return -10 * math.log10(mse) if mse else math.inf
