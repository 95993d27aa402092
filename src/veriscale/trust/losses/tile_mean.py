"""The greatest discrepancy among the trusted pixels of a tile, on average over a unit's tiles."""

from dataclasses import dataclass
from itertools import product
from typing import ClassVar

import numpy as np

from veriscale.trust.losses.bad_pixels import ceil_ratio
from veriscale.trust.losses.loss import Loss, Maps
from veriscale.trust.losses.sup import greatest
from veriscale.trust.staircase import Staircase, from_running

TILE = 64


@dataclass(frozen=True)
class TileMean(Loss):
    """`tile-mean`, over the tiles of all pictures of a unit together; one that the edge cuts counts as one.

    Ours: docs/methods.md#trust.
    """

    tile: int = TILE

    name: ClassVar[str] = "tile-mean"
    any_size: ClassVar[bool] = True

    def staircase(self, maps: Maps, bound: float, limit: int) -> Staircase:
        """The loss as a function of the threshold."""
        scores, rises = [], []
        for score, discrepancy in maps:
            for top, left in product(range(0, score.shape[0], self.tile), range(0, score.shape[1], self.tile)):
                window = np.s_[top : top + self.tile, left : left + self.tile]
                at, loss_of_tile = greatest(score[window], discrepancy[window], bound)
                scores.append(at)
                rises.append(np.diff(loss_of_tile, prepend=0))
        merged, rise = np.concatenate(scores), np.concatenate(rises)
        order = np.argsort(merged, kind="stable")
        return from_running(merged[order], ceil_ratio(np.cumsum(rise[order]), len(scores)), limit)

    def promise(self, alpha: str, unit: str, units: str, apart: str) -> str:
        """What E[loss] ≤ alpha means."""
        return f"the worst trusted pixel of a tile of {self.tile}×{self.tile} is off by at most {alpha} ({apart})"

    def bound(self, discrepancy_bound: float) -> float:
        """That of the discrepancy."""
        return discrepancy_bound
