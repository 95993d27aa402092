"""What draws promise and what their truths showed: coverage against its level, and the ranks of the truth, as a PNG."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from veriscale.report.figure import BOUND, MEASURED, SECOND, empty_figure, legend_below, write_figure


@dataclass(frozen=True)
class DrawsCurves:
    """Measured on pictures or scans with their truths.

    Attributes:
        levels: of the intervals, (L,), rising, in (0, 1).
        pooled: coverage at each over all places, (L,).
        each: the same of every picture, (N, L).
        ranks: counts of the truth's ranks among the draws, (K + 1,).
        samples: K.
        intervals: "t" or "quantile".
        kind: of what they are, in the plural.
    """

    levels: Sequence[float]
    pooled: Sequence[float]
    each: Sequence[Sequence[float]]
    ranks: Sequence[int]
    samples: int
    intervals: str
    kind: str


def draws_figure(path: Path, curves: DrawsCurves, force: bool = False) -> None:
    """Write `draw`'s figure as PNG.

    Raises:
        InputError: matplotlib is not installed, or `path` exists and `force` is not set, or it cannot be written.
    """
    write_figure(path, draw(curves), force)


def draw(curves: DrawsCurves) -> Any:
    """Return a matplotlib figure of two panels: the reliability of the intervals, and the rank histogram.

    Raises:
        InputError: matplotlib is not installed.
    """
    figure = empty_figure(9, 4.8)
    count = len(curves.each)
    of = curves.kind if count != 1 else curves.kind.removesuffix("s")
    figure.suptitle(f"{curves.samples} draws at dial 1 of {count} {of}", fontsize=12)
    coverage, ranks = figure.subplots(1, 2)
    bound = {"color": BOUND, "linewidth": 1, "linestyle": "--"}
    levels = 100 * np.array(curves.levels)

    for k, own in enumerate(curves.each):
        label = f"each of the {curves.kind}" if k == 0 else None
        coverage.plot(levels, 100 * np.array(own), color=SECOND, linewidth=0.7, alpha=0.5, label=label)
    pooled = {"color": MEASURED, "marker": "o", "markersize": 4, "linewidth": 1.4}
    coverage.plot(levels, 100 * np.array(curves.pooled), label="pooled", **pooled)
    coverage.plot((0, 100), (0, 100), label="calibrated", **bound)
    coverage.set(title="Coverage", xlabel=f"level of the {curves.intervals}-intervals, %", ylabel="truths inside, %")
    coverage.set(xlim=(0, 103), ylim=(0, 103))

    relative = np.array(curves.ranks) * len(curves.ranks) / max(sum(curves.ranks), 1)
    ranks.bar(range(len(relative)), relative, width=0.9, color=MEASURED, label="pooled")
    ranks.axhline(1, label="calibrated", **bound)
    ranks.set(title="Rank of the truth", xlabel="draws below the truth", ylabel="frequency over that of flat ranks")
    ranks.xaxis.get_major_locator().set_params(integer=True)

    for axes in (coverage, ranks):
        legend_below(axes)
    return figure
