"""What trusting the wrong pixels costs a unit, as a staircase of the threshold."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from veriscale.errors import InputError, closest
from veriscale.trust.staircase import RESOLUTION, STEPS, Staircase, from_running, in_units

Map = NDArray[np.float32]
Maps = Sequence[tuple[Map, Map]]

TAU = 0.1
TILE = 64
_SIGN = np.uint32(1 << 31)


@dataclass(frozen=True)
class Loss:
    """A loss and its settings, checked by `make_loss`.

    Args:
        name: a name in `LOSSES`.
        tau: for `area`, `recall` and `violation`: a pixel is bad where the discrepancy is above tau.
        tile: for `tile-mean`: the side of a tile in pixels.
    """

    name: str
    tau: float | None = None
    tile: int | None = None

    @property
    def binary(self) -> bool:
        """Whether the loss is 0 or its bound and nothing between."""
        return self.name == "violation"

    def bound(self, discrepancy_bound: float) -> float:
        """B: the largest value of this loss, for discrepancies up to `discrepancy_bound`."""
        return discrepancy_bound if self.name in ("sup", "tile-mean") else 1.0


def make_loss(name: str, tau: float | None = None, tile: int | None = None) -> Loss:
    """A checked loss; tau is 0.1 and a tile 64 pixels unless given.

    Raises:
        InputError: the name is unknown, or a setting is wrong or belongs to another loss.
    """
    if name not in LOSSES:
        raise InputError(f"Unknown loss {name!r}; {closest(name, LOSSES)}.")
    tiled, thresholded = name == "tile-mean", name not in ("sup", "tile-mean")
    if tau is not None and not thresholded:
        raise InputError(f"Loss '{name}' has no tau; leave tau out, or use one of area, recall and violation.")
    if tile is not None and not tiled:
        raise InputError(f"Loss '{name}' has no tile; leave tile out, or use tile-mean.")
    if tau is not None and not 0 <= tau < np.inf:
        raise InputError(
            f"Loss '{name}': tau={tau:g} is out of range; tau is a discrepancy of at least 0, such as 0.1."
        )
    if tile is not None and tile < 1:
        raise InputError(f"Loss '{name}': tile={tile} is out of range; tile is a side of at least 1 pixel, such as 64.")
    return Loss(name, (TAU if tau is None else tau) if thresholded else None, (tile or TILE) if tiled else None)


def staircase(loss: Loss, maps: Maps, bound: float, limit: int = STEPS) -> Staircase:
    """The loss of one unit as a function of the threshold.

    Args:
        loss: which.
        maps: one pair of score and discrepancy, both (H, W) float32, for each picture of the unit. A score is higher
            where the picture is less trustworthy; +∞ is outside of the domain and never trusted. A discrepancy of +∞
            says that there is no reference: trusting it costs `bound`, and it is bad for every tau. `sup` is taken over
            all pictures, `area` and `recall` over their pixels together, `tile-mean` over their tiles together, where a
            tile that the edge cuts counts as one.
        bound: the largest finite discrepancy there can be; it is compared in float32, as the maps are.
        limit: the number of steps kept; with fewer the loss is overstated by up to a `limit`-th.

    Raises:
        InputError: there is no pixel, shapes differ, a value is NaN, or a discrepancy is below 0 or above `bound`.

    Source: Adame, Csillag and Goedert 2025 (arXiv 2502.09664) for `sup`; Angelopoulos et al. 2022 (arXiv 2208.02814),
    section 3.2, for `recall`; `area` and `tile-mean` are ours: docs/methods.md#trust.
    """
    checked = [_checked(score, discrepancy, float(bound)) for score, discrepancy in maps]
    if sum(score.size for score, _ in checked) == 0:
        raise InputError("A unit without a pixel has no loss; give at least one picture.")
    return LOSSES[loss.name](loss, checked, float(bound), limit)


def _area(loss: Loss, maps: Maps, bound: float, limit: int) -> Staircase:
    return _share(_bad_scores(loss, maps), sum(score.size for score, _ in maps), limit)


def _recall(loss: Loss, maps: Maps, bound: float, limit: int) -> Staircase:
    bad = _bad_scores(loss, maps)
    return _share(bad, bad.size, limit)


def _violation(loss: Loss, maps: Maps, bound: float, limit: int) -> Staircase:
    bad = _bad_scores(loss, maps)
    bad = bad[bad < np.inf]
    first = bad.min(keepdims=True) if bad.size else bad
    return Staircase(first, np.full(first.size, RESOLUTION))


def _sup(loss: Loss, maps: Maps, bound: float, limit: int) -> Staircase:
    score, discrepancy = (np.concatenate(parts) for parts in zip(*(_records(*pair) for pair in maps), strict=True))
    return from_running(*_sup_units(score, discrepancy, bound), limit)


def _tile_mean(loss: Loss, maps: Maps, bound: float, limit: int) -> Staircase:
    tile = loss.tile or TILE
    scores, rises = [], []
    for score, discrepancy in maps:
        for top, left in product(range(0, score.shape[0], tile), range(0, score.shape[1], tile)):
            window = np.s_[top : top + tile, left : left + tile]
            at, loss_of_tile = _sup_units(score[window], discrepancy[window], bound)
            scores.append(at)
            rises.append(np.diff(loss_of_tile, prepend=0))
    merged, rise = np.concatenate(scores), np.concatenate(rises)
    order = np.argsort(merged, kind="stable")
    return from_running(merged[order], _ceil_ratio(np.cumsum(rise[order]), len(scores)), limit)


LOSSES: dict[str, Callable[[Loss, Maps, float, int], Staircase]] = {
    "area": _area,
    "sup": _sup,
    "tile-mean": _tile_mean,
    "recall": _recall,
    "violation": _violation,
}


def _checked(score: Map, discrepancy: Map, bound: float) -> tuple[Map, Map]:
    s, d = np.asarray(score, np.float32), np.asarray(discrepancy, np.float32)
    if s.ndim != 2 or s.shape != d.shape:
        raise InputError(f"Score and discrepancy must be maps of one shape, got {s.shape} and {d.shape}.")
    if s.size == 0:
        return s, d
    if np.isnan(s.min()):
        raise InputError(f"The score is NaN at {_first(np.isnan(s))}; use +inf where a pixel may not be trusted.")
    low, high = d.min(), d.max()
    if not (low >= 0 and (high <= bound or (d[d > bound] == np.inf).all())):  # NaN fails both
        wrong = ~((d >= 0) & ((d <= bound) | (d == np.inf)))
        raise InputError(
            f"The discrepancy is {d[wrong][0]:g} at {_first(wrong)}, outside of 0 to B = {bound:g}; "
            "raise B, or use +inf where there is no reference."
        )
    return s, d


def _first(wrong: NDArray[np.bool_]) -> str:
    row, column = np.argwhere(wrong)[0]
    return f"row {row}, column {column}"


def _bad_scores(loss: Loss, maps: Maps) -> NDArray[np.float32]:
    """The scores of the pixels off by more than tau, those at +∞ included."""
    tau = TAU if loss.tau is None else loss.tau
    return np.concatenate([score[discrepancy > tau] for score, discrepancy in maps])


def _share(bad: NDArray[np.float32], whole: int, limit: int) -> Staircase:
    """Each bad pixel costs 1 / whole when it is trusted."""
    scores = np.sort(bad)
    scores = scores[: np.searchsorted(scores, np.float32(np.inf))]
    counted = from_running(scores, np.arange(1, scores.size + 1), limit)  # thinned before the slow division
    return from_running(counted.scores, _ceil_ratio(counted.losses * RESOLUTION, whole), limit)


def _ceil_ratio(total: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    return -(-total // count)


def _sup_units(score: Map, discrepancy: Map, bound: float) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
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
