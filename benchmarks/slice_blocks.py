"""Comparisons over slices of a subject, with intervals over blocks of `BLOCK` neighbouring ones."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from veriscale.metrics.bootstrap import Interval, statistic_interval
from veriscale.workflows.scans.bound_table import BLOCK

Columns = dict[str, np.ndarray]
"""By name, a sum per block."""


def block_sums(places: Sequence[int], values: Sequence[float]) -> np.ndarray:
    """(blocks,) sums of one value per slice.

    Args:
        places: of the slices in their volume.
        values: as many.
    """
    which, of = np.array(places) // BLOCK, np.array(values, np.float64)
    return np.array([of[which == block].sum() for block in np.unique(which)])


def of_blocks(columns: Sequence[np.ndarray], statistic: Callable[..., Any]) -> Interval:
    """A 95 % bootstrap interval of a function of sums over blocks."""
    return statistic_interval(list(columns), statistic)


def gain(better: Sequence[Columns], worse: Sequence[Columns], error: str = "error") -> Interval:
    """By how many dB the former err less than the latter, on average over pairs, in the same blocks."""

    def decibels(*sums: Any) -> Any:
        half = len(sums) // 2
        pairs = zip(sums[half:], sums[:half], strict=True)
        return sum(10 * np.log10(of_worse / of_better) for of_worse, of_better in pairs) / half

    return of_blocks([each[error] for each in (*better, *worse)], decibels)
