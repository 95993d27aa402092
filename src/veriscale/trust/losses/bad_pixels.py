"""Losses that count bad pixels: those off by more than tau."""

import numpy as np
from numpy.typing import NDArray

from veriscale.trust.losses.loss import Maps
from veriscale.trust.staircase import RESOLUTION, Staircase, from_running

TAU = 0.1


def bad_scores(maps: Maps, tau: float) -> NDArray[np.float32]:
    """The scores of the pixels off by more than tau, those at +∞ included."""
    return np.concatenate([score[discrepancy > tau] for score, discrepancy in maps])


def share(bad: NDArray[np.float32], whole: int, limit: int) -> Staircase:
    """Each bad pixel costs 1 / whole when it is trusted."""
    scores = np.sort(bad)
    scores = scores[: np.searchsorted(scores, np.float32(np.inf))]
    counted = from_running(scores, np.arange(1, scores.size + 1), limit)  # thinned before the slow division
    return from_running(counted.scores, ceil_ratio(counted.losses * RESOLUTION, whole), limit)


def ceil_ratio(total: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """total / count rounded up."""
    return -(-total // count)
