"""Comparisons over a subject's slices with intervals over blocks of 10, of one run or of several seeds together."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from guides_cases import Condition
from guides_scores import Numbers
from results import Row
from veriscale.metrics.bootstrap import Interval, statistic_interval
from veriscale.workflows.scans.bound_table import BLOCK

Columns = dict[str, np.ndarray]


def blocks(numbers: Numbers, *conditions: Condition) -> Columns:
    """Sums over the slices of each block of everything that is said of some conditions, those added up."""
    which = np.array(numbers["places"]) // BLOCK
    names = numbers[conditions[0].name]
    return {
        name: np.array(
            [
                sum(np.array(numbers[c.name][name], np.float64)[which == block].sum() for c in conditions)
                for block in np.unique(which)
            ]
        )
        for name in names
    }


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


def psnr(numbers: Numbers, *conditions: Condition) -> float:
    """In the foreground of all slices, in dB."""
    total = {name: float(column.sum()) for name, column in blocks(numbers, *conditions).items()}
    return 10 * math.log10(numbers["width"] ** 2 * total["places"] / total["error"])


def gain_rows(
    id: str,
    what: str,
    bar: str | None,
    better: Sequence[Columns],
    worse: Sequence[Columns],
    against: dict[str, float],
    lowest: bool = True,
) -> list[Row]:
    """How much better in dB, and the lowest end of any seed's interval, which should be above 0."""
    found = gain(better, worse)
    each = [gain([a], [b]) for a, b in zip(better, worse, strict=True)]
    seeds = {f"seed {k}": one.estimate for k, one in enumerate(each)} if len(each) > 1 else {}
    rows = [Row(id, what, found.estimate, "dB", (found.low, found.high), bar, {**against, **seeds})]
    if lowest:
        said = f"{what}: lowest end of the interval of any seed"
        rows.append(Row(f"{id}.lowest", said, min(one.low for one in each), "dB", None, "> 0"))
    return rows
