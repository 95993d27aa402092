"""Intervals by resampling whole pictures (or subjects): the unit over which a claim is made."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from veriscale.errors import InputError


class Interval(NamedTuple):
    """An estimate and the percentile bootstrap interval around it; infinite ends where there is only one unit."""

    estimate: float
    low: float
    high: float


def interval(values: npt.ArrayLike, *, seed: int = 0, level: float = 0.95, resamples: int = 2000) -> Interval:
    """Bound the mean of one value per unit.

    Args:
        values: (N,), one per picture or subject.
        seed: of the resampling.
        level: coverage, in (0, 1).
        resamples: number of bootstrap samples.

    Raises:
        InputError: there is no value.

    Source: Efron and Tibshirani 1993, chapter 13.
    """
    return ratio_interval(values, np.ones(np.shape(values)), seed=seed, level=level, resamples=resamples)


def paired_interval(
    a: npt.ArrayLike, b: npt.ArrayLike, *, seed: int = 0, level: float = 0.95, resamples: int = 2000
) -> Interval:
    """Bound mean(a − b) over the same units, a and b (N,): what differs between units alone cancels."""
    a, b = _paired(a, b)
    return interval(a - b, seed=seed, level=level, resamples=resamples)


def ratio_interval(
    numerator: npt.ArrayLike, denominator: npt.ArrayLike, *, seed: int = 0, level: float = 0.95, resamples: int = 2000
) -> Interval:
    """Bound sum(numerator) / sum(denominator) over the same units, both (N,): g = MSE(1)/MSE(0), for example."""
    both = _paired(numerator, denominator)
    return statistic_interval(both, lambda top, bottom: top / bottom, seed=seed, level=level, resamples=resamples)


def statistic_interval(
    columns: Sequence[npt.NDArray[np.float64]],
    statistic: Callable[..., Any],
    *,
    seed: int = 0,
    level: float = 0.95,
    resamples: int = 2000,
) -> Interval:
    """Bound a function of sums over the same units.

    Args:
        columns: (N,) each, N at least 1.
        statistic: of the columns' sums, elementwise in arrays of them.
        seed: of the resampling.
        level: coverage, in (0, 1).
        resamples: number of bootstrap samples.
    """
    estimate = float(statistic(*(column.sum() for column in columns)))
    count = columns[0].size
    if count == 1:  # one unit says nothing about how much units differ
        return Interval(estimate, -np.inf, np.inf)
    picks = np.random.default_rng(seed).integers(count, size=(resamples, count))
    values = statistic(*(column[picks].sum(axis=1) for column in columns))
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return Interval(estimate, float(low), float(high))


def _paired(a: npt.ArrayLike, b: npt.ArrayLike) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    x, y = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if x.ndim != 1 or x.shape != y.shape or x.size == 0:
        raise InputError(
            f"an interval needs one value for each of the same pictures, got {x.shape} and {y.shape}: "
            "give at least one picture"
        )
    return x, y
