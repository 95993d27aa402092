"""The loss of one unit as a function of the threshold: a staircase of integers, so that sums over units are exact."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from veriscale.errors import InputError

RESOLUTION = 1 << 30  # losses are stored in units of bound / RESOLUTION, rounded up
STEPS = 1024  # kept per unit


@dataclass(frozen=True, eq=False)
class Staircase:
    """The loss of a unit where the pixels with score < t are trusted.

    It is 0 up to scores[0] and losses[k] for scores[k] < t ≤ scores[k + 1]: left-continuous, because the mask is
    strict. Ours: docs/methods.md#trust; with ≤ the supremum of the thresholds would not be attained.

    Args:
        scores: (K,) float32, strictly increasing, −∞ allowed. A pixel at +∞ is never trusted and makes no step.
        losses: (K,) int64, strictly increasing, in units of bound / RESOLUTION, from 1 to RESOLUTION.
    """

    scores: NDArray[np.float32]
    losses: NDArray[np.int64]

    @overload
    def at(self, t: float) -> int: ...
    @overload
    def at(self, t: NDArray[np.float64]) -> NDArray[np.int64]: ...
    def at(self, t: float | NDArray[np.float64]) -> int | NDArray[np.int64]:
        """The loss at the threshold t, of any shape; ±∞ are thresholds too."""
        wanted = np.asarray(t, np.float64)  # in float64 both sides are exact
        found = np.concatenate([[0], self.losses])[np.searchsorted(self.scores.astype(np.float64), wanted)]
        return int(found) if wanted.ndim == 0 else found


def from_losses(scores: ArrayLike, values: ArrayLike, bound: float, limit: int = STEPS) -> Staircase:
    """The staircase of a loss of one's own.

    A loss that is 0.5 (half of a lesion is trusted, say) as soon as t is above 0.25, and 1 above 0.75:

    >>> unit = from_losses([0.25, 0.75], [0.5, 1.0], bound=1)
    >>> [unit.at(t) / RESOLUTION for t in (0.25, 0.26, 0.75, 0.76)]
    [0.0, 0.5, 0.5, 1.0]

    Args:
        scores: (K,) strictly increasing; −∞ allowed, +∞ not: what is there is never trusted. They are rounded down to
            float32, so that no step comes late.
        values: (K,) the loss for a threshold just above scores[k] (up to and including scores[k + 1]), in [0, bound]
            and never decreasing: trusting more cannot cost less. The loss at or below scores[0] is 0.
        bound: B, the largest value the loss can have in any unit.
        limit: the number of steps kept.

    Raises:
        InputError: one of these does not hold; the sentence names the first position, counted from 0.
    """
    s, v = np.asarray(scores, np.float64), np.asarray(values)
    if s.ndim != 1 or s.shape != v.shape or v.dtype.kind not in "fiu":
        raise InputError(f"A loss needs one number for each score in a row, got {s.shape} scores and {v.shape} values.")
    if not 0 < bound < np.inf:
        raise InputError(f"A loss cannot be bounded by {bound}; give the largest value that it can have.")
    top = float(bound)
    before = "not above the one before; sort them and keep the last of equal ones"
    _refuse(np.isnan(s) | (s == np.inf), lambda k: f"score {k} is {s[k]}; leave out what can never be trusted")
    _refuse(np.append(False, s[1:] <= s[:-1]), lambda k: f"score {k} ({s[k]:g}) is {before}")
    _refuse(~((v >= 0) & (v <= top)), lambda k: f"value {k} ({v[k]:g}) is outside of 0 to B = {bound:g}")
    _refuse(
        np.append(False, v[1:] < v[:-1]),
        lambda k: f"value {k} ({v[k]:g}) is below the one before ({v[k - 1]:g}); trusting more can never cost less",
    )
    return from_running(_float32_below(s), in_units(v, bound), limit)


def from_running(scores: NDArray[np.float32], losses: NDArray[np.int64], limit: int) -> Staircase:
    """The staircase of events in order: scores never decreasing and below +∞, losses so far, both (K,).

    Events at one score happen together; those that add nothing leave no step.
    """
    last = np.append(scores[1:] != scores[:-1], True)[: scores.size]
    scores, losses = scores[last], losses[last]
    steps = np.diff(losses, prepend=0) > 0
    return thinned(Staircase(scores[steps], losses[steps]), limit)


def thinned(staircase: Staircase, limit: int) -> Staircase:
    """At most `limit` steps, nowhere below the given staircase and nowhere above it by max(L) / limit.

    The losses are cut into `limit` bands of equal height; the steps that end in one band become one, at its first score
    and with its last loss. Ours: docs/methods.md#trust.
    """
    if staircase.losses.size <= limit:
        return staircase
    tops = staircase.losses[-1] * np.arange(1, limit + 1) // limit
    ends = np.unique(np.searchsorted(staircase.losses, tops, side="right"))
    ends = ends[ends > 0]
    return Staircase(staircase.scores[np.append(0, ends[:-1])], staircase.losses[ends - 1])


def in_units(values: NDArray[np.floating], bound: float) -> NDArray[np.int64]:
    """Values in [0, bound] as integers in units of bound / RESOLUTION, rounded up exactly."""
    scaled = values.astype(np.float64) * RESOLUTION
    if math.frexp(bound)[0] == 0.5:  # a power of two divides exactly
        units = np.ceil(scaled / bound)
    else:  # rounding the quotient could hide a remainder, so it is taken exactly, ten times slower
        whole, rest = np.divmod(scaled, float(bound))
        units = whole + (rest > 0)
    return np.minimum(units, RESOLUTION).astype(np.int64)


def _float32_below(scores: NDArray[np.float64]) -> NDArray[np.float32]:
    """The largest float32 at or below each score: a step that comes early only overstates the loss."""
    with np.errstate(over="ignore"):
        near = scores.astype(np.float32)
    return np.where(near > scores, np.nextafter(near, np.float32(-np.inf)), near)


def _refuse(wrong: NDArray[np.bool_], sentence: Callable[[int], str]) -> None:
    if wrong.any():
        raise InputError(f"The loss is no staircase: {sentence(int(np.argmax(wrong)))}.")
