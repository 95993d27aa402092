"""Calibration: from the losses of n units to the threshold that keeps a promise about the next one."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from veriscale.trust.modes import Guarantee
from veriscale.trust.staircase import RESOLUTION, Staircase


@dataclass(frozen=True, eq=False)
class Calibration:
    """The merged staircases of n units; every comparison is between integers.

    Args:
        staircases: one per unit.
        bound: B, the same for all.
    """

    staircases: tuple[Staircase, ...]
    bound: float

    def threshold(self, allowed: Fraction | None) -> float:
        """sup{t : Σ L_i(t) ≤ allowed}: the mask is score < t.

        Args:
            allowed: what the losses may sum to, from `modes.Guarantee`, in the unit of the loss.

        Returns:
            A float32 score as a float; −∞ (the empty mask) for None or a negative allowance, +∞ where the sum never
            exceeds it. The supremum is attained.
        """
        return float(self.thresholds([allowed])[0])

    def thresholds(self, allowed: Sequence[Fraction | None]) -> NDArray[np.float64]:
        """`threshold` of many allowances."""
        scores, _, rises = self._events
        return _first_above(scores, np.cumsum(rises), self._in_units(allowed))

    def leave_one_out(self, alphas: Sequence[Fraction]) -> NDArray[np.float64]:
        """The threshold of mode `mean` from all units but one, for each of them left out: (A, n).

        The mean of L_j at the j-th is at most alpha for any n units at all (ours: docs/methods.md#trust).
        """
        n = len(self.staircases)
        others_promise = Guarantee("mean", n - 1, self.bound, binary=False)
        allowed = self._in_units([others_promise.allowance(a) for a in alphas])
        scores, owners, rises = self._events
        columns = []
        for j in range(n):
            others = owners != j
            columns.append(_first_above(scores[others], np.cumsum(rises[others]), allowed))
        return np.stack(columns, axis=1)

    def losses_at(self, t: NDArray[np.float64]) -> NDArray[np.float64]:
        """L_j(t[a, j]), (A, n) like the thresholds."""
        units = np.stack([s.at(t[:, j]) for j, s in enumerate(self.staircases)], axis=1)
        return units * self.bound / RESOLUTION

    def largest_jump(self) -> float:
        """J: the largest jump of Σ L_i(t) / n at one t, over these n units.

        With n + 1 units here, the leave-one-out risk is at least alpha − B / (n + 1) − J where that threshold is
        feasible and finite.
        """
        scores, _, rises = self._events
        if scores.size == 0:
            return 0.0
        together = np.add.reduceat(rises, np.flatnonzero(np.append(True, scores[1:] != scores[:-1])))
        return float(together.max()) * self.bound / RESOLUTION / len(self.staircases)

    @cached_property
    def _events(self) -> tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.int64]]:
        """Every step of every unit by its score: scores, whose they are, and by how much the loss rises."""
        scores = np.concatenate([np.empty(0, np.float32), *(s.scores for s in self.staircases)])
        losses = np.concatenate([np.empty(0, np.int64), *(s.losses for s in self.staircases)])
        sizes = np.array([s.losses.size for s in self.staircases], np.int64)
        before = np.append(0, losses)[:-1]
        firsts = np.cumsum(sizes) - sizes
        before[firsts[sizes > 0]] = 0
        owners = np.repeat(np.arange(sizes.size, dtype=np.int32), sizes)
        order = np.argsort(scores, kind="stable")
        return scores[order], owners[order], (losses - before)[order]

    def _in_units(self, allowed: Sequence[Fraction | None]) -> NDArray[np.int64]:
        """The largest sum of integer losses within each allowance; −1 where there is none."""
        everything = len(self.staircases) * RESOLUTION
        unit = Fraction(self.bound) / RESOLUTION
        return np.array([-1 if a is None or a < 0 else min(a // unit, everything) for a in allowed], np.int64)


def _first_above(
    scores: NDArray[np.float32], totals: NDArray[np.int64], allowed: NDArray[np.int64]
) -> NDArray[np.float64]:
    """The score at which the running total first exceeds what is allowed; events at one score may come in any order."""
    steps = np.append(scores.astype(np.float64), np.inf)
    found: NDArray[np.float64] = steps[np.searchsorted(totals, allowed, side="right")]
    return np.where(allowed < 0, -np.inf, found)
