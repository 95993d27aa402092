"""How steep a result is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from veriscale.trust.scores.score import Array, Score
from veriscale.trust.smoothing import smoothed


@dataclass(frozen=True)
class Gradient(Score):
    """`gradient` of the delivered picture.

    Args:
        std: of the Gaussian whose derivative is taken, in pixels.
    """

    std: float = 1.0

    name: ClassVar[str] = "gradient"
    above_zero: ClassVar[tuple[str, ...]] = ("std",)

    def of_pictures(self, picture: Array, runs: Sequence[Array]) -> Array:
        """The length of the picture's gradient."""
        return gradient(picture, self.std)


def gradient(picture: NDArray[Any], std: float) -> Array:
    """Length of the gradient of a picture (H, W, C) per pixel, over all channels, at the scale of `std` pixels.

    The root of the summed squares of the Gaussian's derivatives along rows and columns: a tool that only resizes errs
    most at edges.
    """
    total = np.zeros(picture.shape[:2], np.float32)
    for order in ((1, 0), (0, 1)):
        slopes = smoothed(picture, std, order)
        for c in range(picture.shape[2]):
            total += slopes[..., c] ** 2
    return np.sqrt(total, out=total)
