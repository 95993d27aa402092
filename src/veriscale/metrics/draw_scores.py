"""All that draws and their truth say of each other, in sums that add up over pictures and slices."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np
import numpy.typing as npt

from veriscale.errors import InputError
from veriscale.metrics.coverage import CoverageSums, Kind, coverage_sums, fewest_draws
from veriscale.metrics.rank_histogram import Counts, rank_distance, rank_histogram
from veriscale.metrics.sparsification import OrderSums, ause, order_sums, spearman
from veriscale.metrics.uncertainty import SpreadSums, crps_fair, spread_skill, spread_sums

Array = npt.NDArray[np.floating]

LEVELS = (0.5, 0.8, 0.9)
"""Of the intervals."""

_BLOCK = 1 << 16  # places treated at once: float64 copies of all draws of them


@dataclass(frozen=True, eq=False)
class DrawSums:
    """What the numbers of draws are made of; of several pictures it is the sum, in which every place counts as much.

    Attributes:
        spread, coverage, order: as their files say.
        ranks: (K + 1,), of `rank_histogram`.
        crps: sum over places of the fair score.
    """

    spread: SpreadSums
    coverage: CoverageSums
    order: OrderSums
    ranks: Counts
    crps: float

    def __add__(self, other: "DrawSums") -> "DrawSums":
        return DrawSums(
            self.spread + other.spread,
            self.coverage + other.coverage,
            self.order + other.order,
            self.ranks + other.ranks,
            self.crps + other.crps,
        )

    def numbers(self) -> dict[str, float]:
        """Every number by its name; coverage and width once per level, as `coverage_80`."""
        found = {"spread_skill": spread_skill(self.spread), "crps": self.crps / self.coverage.places}
        for k, level in enumerate(self.coverage.levels):
            found[f"coverage_{100 * level:.0f}"] = self.coverage.coverage[k]
            found[f"width_{100 * level:.0f}"] = self.coverage.width[k]
        return found | {
            "ause": ause(self.order),
            "spearman": spearman(self.order),
            "rank_distance": rank_distance(self.ranks),
        }


def interval_kind(draws: int) -> Kind:
    """Quantiles where so many draws have them at all of `LEVELS`, which is from 19 on; else t."""
    return "quantile" if draws >= fewest_draws(max(LEVELS)) else "t"


def draw_sums(
    draws: Sequence[Array],
    truth: Array,
    seed: int,
    mask: npt.NDArray[np.bool_] | None = None,
    temperature: float = 1.0,
) -> DrawSums:
    """Sum what one picture or scan contributes; a block of places at a time is held in float64.

    Args:
        draws: K ≥ 2 arrays (…), posterior draws at dial 1, unclipped, on a scale on which 0 and 1 are black and white.
        truth: (…).
        seed: of the order of ties in the rank histogram.
        mask: (…), the places that count; all by default.
        temperature: what the draws' deviations from their mean are multiplied by.

    Raises:
        InputError: fewer than two draws, shapes that differ, or an empty mask.
    """
    if wrong := [a.shape for a in (*draws, *(() if mask is None else (mask,))) if a.shape != truth.shape]:
        raise InputError(f"draws and mask have the truth's shape {truth.shape}, got {wrong[0]}")
    counted = np.arange(truth.size) if mask is None else np.flatnonzero(mask)
    if not counted.size:
        raise InputError("the foreground is empty: no place counts; one of at least one voxel would do")

    def of_block(start: int) -> DrawSums:
        where = counted[start : start + _BLOCK]
        x = truth.reshape(-1)[where].astype(np.float64)
        samples = np.array([draw.reshape(-1)[where] for draw in draws], np.float64).reshape(len(draws), -1)
        if temperature != 1:
            samples = samples.mean(0) + temperature * (samples - samples.mean(0))
        return DrawSums(
            spread_sums(samples, x),
            coverage_sums(samples, x, LEVELS, interval_kind(len(draws))),
            order_sums(samples, x),
            rank_histogram(samples, x, [seed, start]),
            crps_fair(samples, x) * len(where),
        )

    return reduce(add, map(of_block, range(0, counted.size, _BLOCK)))
