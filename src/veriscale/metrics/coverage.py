"""Prediction intervals of posterior draws: how often they hold the truth, and how wide they are."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.stats import t as student

from veriscale.errors import InputError
from veriscale.metrics.draws import checked_draws

Array = npt.NDArray[np.floating]
Kind = Literal["t", "quantile"]


@dataclass(frozen=True)
class CoverageSums:
    """The sums that coverage and width are made of; they add up over pictures.

    Attributes:
        levels: such as 0.8, (L,).
        places: how many pixels and channels, or voxels, there are.
        inside: per level, in how many of them the interval holds the truth, (L,).
        widths: per level the sum of the intervals' widths, (L,), in the draws' units.
    """

    levels: tuple[float, ...]
    places: int
    inside: tuple[int, ...]
    widths: tuple[float, ...]

    def __add__(self, other: "CoverageSums") -> "CoverageSums":
        if self.levels != other.levels:
            raise InputError(f"coverage pools equal levels, got {self.levels} and {other.levels}: use the same for all")
        return CoverageSums(
            self.levels,
            self.places + other.places,
            tuple(a + b for a, b in zip(self.inside, other.inside, strict=True)),
            tuple(a + b for a, b in zip(self.widths, other.widths, strict=True)),
        )

    @property
    def coverage(self) -> tuple[float, ...]:
        """Per level the share of the places whose interval holds the truth; the level itself where calibrated."""
        return tuple(n / self.places for n in self.inside)

    @property
    def width(self) -> tuple[float, ...]:
        """Per level the mean width of the intervals: of two that cover what they say the narrower is better."""
        return tuple(w / self.places for w in self.widths)


def fewest_draws(level: float) -> int:
    """How many draws have quantiles that reach a level: the least K with (1 − level)/2·(K + 1) ≥ 1.

    Raises:
        InputError: the level is not between 0 and 1.
    """
    if not 0 < level < 1:
        raise InputError(f"{level:g} is no level of an interval; one between 0 and 1, such as 0.8, would do")
    return math.ceil(round(2 / (1 - level), 9)) - 1  # 2/(1 − 0.9) is above 20 by what floating point rounds


def coverage_sums(draws: Array, truth: Array, levels: Sequence[float], kind: Kind = "t") -> CoverageSums:
    """Sum what one picture contributes to coverage and width.

    `t` is mean ± t·s·√(1 + 1/K) with K − 1 degrees of freedom: where truth and draws are of one Gaussian, it holds the
    truth in `level` of all places at any number of draws. `quantile` goes from the order statistic number
    h = (1 − level)/2·(K + 1) to number K + 1 − h, with a straight line between two of them: where truth and draws are
    of one distribution, whatever it is, and h is whole, it holds the truth in `level` of all places.

    Args:
        draws: (K, …), K ≥ 2 posterior draws at dial 1.
        truth: (…).
        levels: such as 0.5, 0.8, 0.9.
        kind: t or quantile.

    Raises:
        InputError: as `checked_draws`, a level is none, or so few draws have no such quantile: those of eight draws
            reach no further than 7/9.

    Source: t, the textbook prediction interval: Hahn, Meeker 1991; quantiles: Wilks 1941, the position (K + 1)p by
    Weibull 1939.
    """
    samples = checked_draws(draws, truth)
    inside, widths = [], []
    for low, high in (_of_t if kind == "t" else _of_quantiles)(samples, levels):
        inside.append(int(((low <= truth) & (truth <= high)).sum()))
        widths.append(float((high - low).sum()))
    return CoverageSums(tuple(levels), truth.size, tuple(inside), tuple(widths))


def _of_t(samples: Array, levels: Sequence[float]) -> Iterator[tuple[Array, Array]]:
    count, mean, std = len(samples), samples.mean(axis=0), samples.std(axis=0, ddof=1)
    for level in levels:
        fewest_draws(level)  # checks it
        reach = student.ppf((1 + level) / 2, count - 1) * math.sqrt(1 + 1 / count) * std
        yield mean - reach, mean + reach


def _of_quantiles(samples: Array, levels: Sequence[float]) -> Iterator[tuple[Array, Array]]:
    count, ordered = len(samples), np.sort(samples, axis=0)
    for level in levels:
        if count < (needed := fewest_draws(level)):
            raise InputError(
                f"the quantiles of {count} draws do not reach a level of {level:g}: ask for at least {needed} samples, "
                "or for t-intervals"
            )
        at = round((1 - level) / 2 * (count + 1), 9)
        k, part = int(at), at - int(at)
        low = ordered[k - 1] + part * (ordered[k] - ordered[k - 1])
        high = ordered[count - k] - part * (ordered[count - k] - ordered[count - k - 1])
        yield low, high
