"""Do the draws differ as much as they err: spread–skill, and the continuous ranked probability score."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from veriscale.errors import InputError
from veriscale.metrics.draws import checked_draws

Array = npt.NDArray[np.floating]


@dataclass(frozen=True)
class SpreadSums:
    """The sums a spread–skill ratio is made of; they add up over pictures.

    Attributes:
        draws: K, the same for every picture.
        variance: sum over samples of the draws' variance (ddof 1).
        squared_error: sum over samples of the squared error of the draws' mean.
    """

    draws: int
    variance: float
    squared_error: float

    def __add__(self, other: "SpreadSums") -> "SpreadSums":
        if self.draws != other.draws:
            raise InputError(
                f"spread–skill pools pictures with equally many draws, got {self.draws} and {other.draws}: "
                "use the same number of samples for all"
            )
        return SpreadSums(self.draws, self.variance + other.variance, self.squared_error + other.squared_error)


def spread_sums(draws: Array, truth: Array) -> SpreadSums:
    """Sum what one picture contributes to `spread_skill`.

    Args:
        draws: (K, H, W, C), K ≥ 2 posterior draws at dial 1, [0, 1], unclipped; or (K, N), voxels of a foreground.
        truth: (H, W, C), or (N,).

    Raises:
        InputError: as `checked_draws`.
    """
    samples = checked_draws(draws, truth)
    error = samples.mean(axis=0) - truth
    return SpreadSums(len(samples), float(samples.var(axis=0, ddof=1).sum()), float(np.square(error).sum()))


def spread_skill(sums: SpreadSums) -> float:
    """Return √((K + 1)/K · mean variance / MSE of the mean).

    1 where the truth could be one of the draws, below 1 where the draws differ less than they err; infinite where the
    mean is exact.

    Source: Fortin et al. 2014.
    """
    if sums.squared_error == 0:
        return math.inf
    return math.sqrt((sums.draws + 1) / sums.draws * sums.variance / sums.squared_error)


def crps_fair(draws: Array, truth: Array) -> float:
    """Return the continuous ranked probability score, mean over samples, in the picture's units; lower is better.

    mean|x_i − y| − Σ_{i<j}|x_i − x_j| / (K(K − 1)): its expectation does not depend on the number of draws.

    Args and raises as `spread_sums`.

    Source: Ferro 2014; the pairs are summed through the order statistics.
    """
    samples = np.sort(checked_draws(draws, truth), axis=0)
    count = len(samples)
    weights = 2 * np.arange(count) - (count - 1)
    pairs = np.tensordot(weights, samples, axes=1) / (count * (count - 1))
    return float(np.mean(np.abs(samples - truth).mean(axis=0) - pairs))
