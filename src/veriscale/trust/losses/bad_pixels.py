"""Losses that count bad pixels: those off by more than tau."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from veriscale.trust.losses.loss import Loss, Maps
from veriscale.trust.staircase import RESOLUTION, Staircase, from_running

TAU = 0.1


@dataclass(frozen=True)
class Area(Loss):
    """The share of the pixels that are bad and trusted, over all pictures of a unit. Ours: docs/methods.md#trust."""

    tau: float = TAU

    name: ClassVar[str] = "area"
    words: ClassVar[str] = "at most {share} of a {unit} is both trusted and off by more than {tau:g} ({apart})"
    usual_alpha: ClassVar[str] = "0.05"

    def staircase(self, maps: Maps, bound: float, limit: int) -> Staircase:
        """As `Loss.staircase`."""
        return _share(_bad_scores(maps, self.tau), sum(score.size for score, _ in maps), limit)


@dataclass(frozen=True)
class Recall(Loss):
    """The share of the bad pixels that are trusted, over all pictures of a unit.

    Source: Angelopoulos et al. 2022 (arXiv 2208.02814), section 3.2.
    """

    tau: float = TAU

    name: ClassVar[str] = "recall"
    words: ClassVar[str] = "at most {share} of a {unit}'s pixels off by more than {tau:g} ({apart}) are trusted"

    def staircase(self, maps: Maps, bound: float, limit: int) -> Staircase:
        """As `Loss.staircase`."""
        bad = _bad_scores(maps, self.tau)
        return _share(bad, bad.size, limit)


@dataclass(frozen=True)
class Violation(Loss):
    """1 as soon as a bad pixel of any picture of a unit is trusted."""

    tau: float = TAU

    name: ClassVar[str] = "violation"
    words: ClassVar[str] = "at most {share} of {units} have a trusted pixel off by more than {tau:g} ({apart})"
    binary: ClassVar[bool] = True

    def staircase(self, maps: Maps, bound: float, limit: int) -> Staircase:
        """As `Loss.staircase`."""
        bad = _bad_scores(maps, self.tau)
        bad = bad[bad < np.inf]
        first = bad.min(keepdims=True) if bad.size else bad
        return Staircase(first, np.full(first.size, RESOLUTION))


def ceil_ratio(total: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """total / count rounded up."""
    return -(-total // count)


def _bad_scores(maps: Maps, tau: float) -> NDArray[np.float32]:
    """The scores of the bad pixels, those at +∞ included."""
    return np.concatenate([score[discrepancy > tau] for score, discrepancy in maps])


def _share(bad: NDArray[np.float32], whole: int, limit: int) -> Staircase:
    """Each bad pixel costs 1 / whole when it is trusted."""
    scores = np.sort(bad)
    scores = scores[: np.searchsorted(scores, np.float32(np.inf))]
    counted = from_running(scores, np.arange(1, scores.size + 1), limit)  # thinned before the slow division
    return from_running(counted.scores, ceil_ratio(counted.losses * RESOLUTION, whole), limit)
