"""Losses that the worst trusted pixel decides."""

from dataclasses import dataclass
from itertools import product
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from veriscale.trust.losses.bad_pixels import ceil_ratio
from veriscale.trust.losses.loss import Loss, Map, Maps
from veriscale.trust.staircase import Staircase, from_running, in_units

TILE = 64
_SIGN = np.uint32(1 << 31)


@dataclass(frozen=True)
class Sup(Loss):
    """The greatest discrepancy, over all pictures of a unit.

    Source: Adame, Csillag and Goedert 2025 (arXiv 2502.09664).
    """

    name: ClassVar[str] = "sup"
    words: ClassVar[str] = "the worst trusted pixel of a {unit} is off by at most {alpha} ({apart})"
    in_discrepancy: ClassVar[bool] = True

    def staircase(self, maps: Maps, bound: float, limit: int) -> Staircase:
        """As `Loss.staircase`."""
        score, discrepancy = (np.concatenate(parts) for parts in zip(*(_records(*pair) for pair in maps), strict=True))
        return from_running(*_greatest(score, discrepancy, bound), limit)


@dataclass(frozen=True)
class TileMean(Loss):
    """The greatest discrepancy of a tile, in the mean over the tiles of all pictures; one that the edge cuts is one.

    Ours: docs/methods.md#trust.
    """

    tile: int = TILE

    name: ClassVar[str] = "tile-mean"
    words: ClassVar[str] = "the worst trusted pixel of a tile of {tile}×{tile} is off by at most {alpha} ({apart})"
    in_discrepancy: ClassVar[bool] = True
    any_size: ClassVar[bool] = True

    def staircase(self, maps: Maps, bound: float, limit: int) -> Staircase:
        """As `Loss.staircase`."""
        scores, rises = [], []
        for score, discrepancy in maps:
            for top, left in product(range(0, score.shape[0], self.tile), range(0, score.shape[1], self.tile)):
                window = np.s_[top : top + self.tile, left : left + self.tile]
                at, loss_of_tile = _greatest(score[window], discrepancy[window], bound)
                scores.append(at)
                rises.append(np.diff(loss_of_tile, prepend=0))
        merged, rise = np.concatenate(scores), np.concatenate(rises)
        order = np.argsort(merged, kind="stable")
        return from_running(merged[order], ceil_ratio(np.cumsum(rise[order]), len(scores)), limit)


def _greatest(score: Map, discrepancy: Map, bound: float) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Where the greatest discrepancy so far rises, and to what in units of the bound."""
    at, largest = _records(score, discrepancy)
    return at, in_units(np.minimum(largest, bound, dtype=np.float64), bound)


def _records(score: Map, discrepancy: Map) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Where the largest discrepancy so far rises when pixels come in the order of their scores, and to what.

    Both are packed into one integer, the score above the discrepancy: sorting integers takes a third of the time of an
    indirect sort.
    """
    key = _ordered(score.ravel().view(np.uint32)).astype(np.uint64)
    key <<= np.uint64(32)
    key |= discrepancy.ravel().view(np.uint32)
    key.sort()
    key = key[: np.searchsorted(key, np.uint64(0xFF800000 << 32))]  # the rest is at +∞
    largest = np.maximum.accumulate(key.astype(np.uint32))  # the lower half; floats ≥ 0 have the order of their bits
    rises = np.flatnonzero(np.append(largest[:1] > 0, largest[1:] > largest[:-1]))
    return _floats((key[rises] >> np.uint64(32)).astype(np.uint32)), largest[rises].view(np.float32)


def _ordered(bits: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """The bits of floats as unsigned integers of the same order: negative ones turned over, the others raised."""
    negative = (bits.view(np.int32) >> 31).view(np.uint32)
    return bits ^ (negative | _SIGN)


def _floats(ordered: NDArray[np.uint32]) -> NDArray[np.float32]:
    return np.where(ordered & _SIGN, ordered ^ _SIGN, ~ordered).view(np.float32)
