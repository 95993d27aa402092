"""Do the draws differ as much as they err: spread–skill, coverage and the continuous ranked probability score."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import t as student

from veriscale.errors import InputError

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
        draws: (K, H, W, C), K ≥ 2 posterior draws at dial 1, [0, 1], unclipped.
        truth: (H, W, C).

    Raises:
        InputError: fewer than two draws, or shapes that differ.
    """
    samples = _checked(draws, truth)
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


def covered(draws: Array, truth: Array, level: float) -> npt.NDArray[np.bool_]:
    """Return where the truth lies inside of the prediction interval of the draws, in the shape of the truth.

    Mean ± t·s·√(1 + 1/K) with K − 1 degrees of freedom: where truth and draws are of one Gaussian, in `level` of all
    places at any number of draws. (Quantiles of eight draws reach no further than 7/9.)

    Args:
        draws, truth: as of `spread_sums`.
        level: such as 0.8.

    Raises:
        InputError: as `spread_sums`.

    Source: the textbook prediction interval, Hahn, Meeker 1991.
    """
    samples = _checked(draws, truth)
    count = len(samples)
    reach = student.ppf((1 + level) / 2, count - 1) * math.sqrt(1 + 1 / count)
    inside: npt.NDArray[np.bool_] = np.abs(truth - samples.mean(axis=0)) <= reach * samples.std(axis=0, ddof=1)
    return inside


def crps_fair(draws: Array, truth: Array) -> float:
    """Return the continuous ranked probability score, mean over samples, in the picture's units; lower is better.

    mean|x_i − y| − Σ_{i<j}|x_i − x_j| / (K(K − 1)): its expectation does not depend on the number of draws.

    Args and raises as `spread_sums`.

    Source: Ferro 2014; the pairs are summed through the order statistics.
    """
    samples = np.sort(_checked(draws, truth), axis=0)
    count = len(samples)
    weights = 2 * np.arange(count) - (count - 1)
    pairs = np.tensordot(weights, samples, axes=1) / (count * (count - 1))
    return float(np.mean(np.abs(samples - truth).mean(axis=0) - pairs))


def _checked(draws: Array, truth: Array) -> npt.NDArray[np.float64]:
    if draws.shape[1:] != truth.shape:
        raise InputError(
            f"the draws are {draws.shape[1:]} and their truth {truth.shape}: "
            "both need the same height, width and channels"
        )
    if len(draws) < 2:
        raise InputError(f"a spread needs at least two draws, got {len(draws)}: ask for more samples")
    return draws.astype(np.float64)
