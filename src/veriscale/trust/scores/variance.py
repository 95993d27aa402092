"""What draws disagree on."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from veriscale.errors import InputError
from veriscale.imaging.moments import moments
from veriscale.trust.scores.score import Array, Needs, Score
from veriscale.trust.smoothing import smoothed


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


@dataclass(frozen=True)
class Perturbed(Variance):
    """`perturbed`: the same between runs on perturbed inputs, for a tool that has no draws."""

    name: ClassVar[str] = "perturbed"
    needs: ClassVar[Needs] = "perturbed runs"


def variance(draws: Iterable[NDArray[Any]]) -> Array:
    """Variance between draws (n − 1 in the denominator), summed over the channels.

    Args:
        draws: (H, W, C) each, of any floating point type; streamed. Equal draws give exactly 0.

    Returns:
        (H, W).

    Raises:
        InputError: fewer than two draws, or of different shapes.
    """
    count, _, planes = moments(draws)
    if count < 2:
        raise InputError(f"The variance between draws needs at least 2 of them, got {count}; take more samples.")
    total = sum((planes[..., c] for c in range(1, planes.shape[2])), start=planes[..., 0])
    return np.asarray(total / (count - 1), np.float32)


def blurred_variance(draws: Iterable[NDArray[Any]], std: float) -> Array:
    """`variance` between draws that are first filtered by a Gaussian of `std` pixels: what they disagree on at large.

    Noise that is independent from pixel to pixel averages out; a structure that is there or not stays.

    Raises:
        InputError: as `variance`.
    """
    return variance(smoothed(draw, std) for draw in draws)
