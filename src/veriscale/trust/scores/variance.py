"""What draws disagree on."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from veriscale.errors import InputError
from veriscale.trust.scores.score import Array, Needs, Score
from veriscale.trust.smoothing import smoothed

_BLOCK = 1 << 15  # values treated at once: several float64 copies of them stay in the cache


@dataclass(frozen=True)
class Variance(Score):
    """`variance` between draws, or between runs of a tool.

    Args:
        blur: std of the Gaussian that each draw is filtered by before, in pixels; 0 is none.
    """

    blur: float = 0.0

    name: ClassVar[str] = "variance"
    needs: ClassVar[Needs] = "draws"

    def of_pictures(self, picture: Array, runs: Sequence[Array]) -> Array:
        """The variance between the runs."""
        return blurred_variance(runs, self.blur) if self.blur else variance(runs)


def variance(draws: Iterable[NDArray[Any]]) -> Array:
    """Variance between draws (n − 1 in the denominator), summed over the channels.

    Args:
        draws: (H, W, C) each, of any floating point type; streamed: beside the draw at hand two float64 pictures are
            held, however many there are. Equal draws give exactly 0.

    Returns:
        (H, W).

    Raises:
        InputError: fewer than two draws, or of different shapes.

    Source: Welford 1962.
    """
    mean = squares = np.empty(0)
    shape: tuple[int, ...] = ()
    count = 0
    for draw in draws:
        count += 1
        if count == 1:
            shape, mean, squares = draw.shape, draw.astype(np.float64).ravel(), np.zeros(draw.size)
            continue
        if draw.shape != shape:
            raise InputError(f"The draws of one picture have one shape, got {shape} and {draw.shape}.")
        values = draw.reshape(-1)
        for start in range(0, draw.size, _BLOCK):
            part = slice(start, start + _BLOCK)
            delta = values[part] - mean[part]  # float64, since the mean is
            step = delta / count
            mean[part] += step
            squares[part] += delta * (delta - step)
    if count < 2:
        raise InputError(f"The variance between draws needs at least 2 of them, got {count}; take more samples.")
    planes = squares.reshape(shape)
    total = sum((planes[..., c] for c in range(1, shape[2])), start=planes[..., 0])
    return np.asarray(total / (count - 1), np.float32)


def blurred_variance(draws: Iterable[NDArray[Any]], std: float) -> Array:
    """`variance` between draws that are first filtered by a Gaussian of `std` pixels: what they disagree on at large.

    Noise that is independent from pixel to pixel averages out; a structure that is there or not stays.

    Raises:
        InputError: as `variance`.
    """
    return variance(smoothed(draw, std) for draw in draws)
