"""Comparisons over a subject's slices with intervals over blocks of 10, of one run or of several seeds together."""

import math
from collections.abc import Sequence

from guides_cases import Condition
from guides_scores import Numbers
from results import Row
from slice_blocks import Columns, block_sums, gain


def blocks(numbers: Numbers, *conditions: Condition) -> Columns:
    """Sums over the slices of each block of everything that is said of some conditions, those added up."""
    places, names = numbers["places"], numbers[conditions[0].name]
    return {name: sum(block_sums(places, numbers[c.name][name]) for c in conditions) for name in names}


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
