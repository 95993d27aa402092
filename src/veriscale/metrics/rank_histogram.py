"""The rank of the truth among the draws: evenly spread where the truth could be one of them."""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from veriscale.metrics.draws import checked_draws

Array = npt.NDArray[np.floating]
Counts = npt.NDArray[np.int64]


def rank_histogram(draws: Array, truth: Array, seed: int | Sequence[int]) -> Counts:
    """Count the places by how many draws lie below the truth, (K + 1,); counts of several pictures add up.

    Flat where the truth could be one of the draws, at any number of them and whatever their distribution; high at both
    ends where the draws are too tame, in the middle where they are too wild, at one end where they are off.

    Args:
        draws: (K, …), K ≥ 2 posterior draws at dial 1.
        truth: (…).
        seed: where draws equal the truth, each of the ranks it could have is as likely.

    Raises:
        InputError: as `checked_draws`.

    Source: Hamill 2001, with ties as there.
    """
    samples = checked_draws(draws, truth)
    below, equal = (samples < truth).sum(axis=0), (samples == truth).sum(axis=0)
    ranks = below + np.random.default_rng(seed).integers(0, equal, endpoint=True)
    return np.bincount(ranks.ravel(), minlength=len(samples) + 1)


def rank_distance(counts: Counts) -> float:
    """How far a rank histogram is from a flat one: 0 is flat, K is all in one rank.

    (K + 1)·Σ s(s − 1)/(N(N − 1)) − 1 with s the counts and N their sum: it estimates (K + 1)·Σ(p − 1/(K + 1))² of the
    ranks' probabilities p without bias, so that its expectation is 0 for a calibrated sampler at any K and N, and it
    may lie below. That is for places that are independent: neighbours are not, which adds about K over the number of
    independent patches.

    Args:
        counts: (K + 1,) of `rank_histogram`; NaN where they sum to less than 2.

    Source: the Δ of Candille, Talagrand 2005 less what it is expected to be of a flat histogram, per pair of places.
    """
    total = int(counts.sum())
    if total < 2:
        return math.nan
    s = counts.astype(np.float64)
    return len(s) * float(np.sum(s * (s - 1))) / (total * (total - 1)) - 1
