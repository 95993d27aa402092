"""The greatest discrepancy among a unit's trusted pixels."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from veriscale.trust.losses.loss import Loss, Map, Maps
from veriscale.trust.staircase import Staircase, from_running, in_units

_SIGN = np.uint32(1 << 31)


@dataclass(frozen=True)
class Sup(Loss):
    """`sup`, over all pictures of a unit. Source: Adame, Csillag and Goedert 2025 (arXiv 2502.09664)."""

    name: ClassVar[str] = "sup"

    def staircase(self, maps: Maps, bound: float, limit: int) -> Staircase:
        """The loss as a function of the threshold."""
        score, discrepancy = (np.concatenate(parts) for parts in zip(*(_records(*pair) for pair in maps), strict=True))
        return from_running(*greatest(score, discrepancy, bound), limit)

    def promise(self, alpha: str, unit: str, units: str, apart: str) -> str:
        """What E[loss] ≤ alpha means."""
        return f"the worst trusted pixel of a {unit} is off by at most {alpha} ({apart})"

    def bound(self, discrepancy_bound: float) -> float:
        """That of the discrepancy."""
        return discrepancy_bound


def greatest(score: Map, discrepancy: Map, bound: float) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
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
