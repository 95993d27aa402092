"""What a certificate of the greatest error says about PSNR inside the mask."""

import math
from fractions import Fraction


def psnr_floor(alpha: float | Fraction, loss: str, discrepancy: str) -> float | None:
    """The least expected PSNR inside the mask that E[loss] ≤ alpha implies, in dB; None where it implies none.

    Inside the mask every channel of every pixel errs by at most L, so MSE ≤ L² and PSNR ≥ −20 log₁₀ L; −log is convex,
    so E[PSNR] ≥ −20 log₁₀ E[L] ≥ −20 log₁₀ alpha (Jensen). An empty mask has L = 0 and counts as +∞ dB: say how many
    there are and what L is over the others, since over those alone E[L] may exceed alpha. It is the mean of PSNR that
    has the floor, not PSNR of the mean MSE; the picture space is that of the discrepancy, with peak 1.

    Args:
        alpha: risk level, above 0.
        loss: name of the certificate's loss; only `sup` bounds every trusted pixel.
        discrepancy: its discrepancy as a string; only `pointwise` bounds every channel of a pixel.

    Source: Adame et al. 2025 (arXiv 2502.09664); the conditions are ours.
    """
    return -20 * math.log10(alpha) if (loss, discrepancy) == ("sup", "pointwise") else None
