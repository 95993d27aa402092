"""The two sides of the leave-one-out identity, and the mistakes that it should see."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import inf

import numpy as np
from tests.trust.brute_force import Pictures, Rule, hard_alphas, hard_set, loss_at, strict

from veriscale.trust.conformal import Calibration
from veriscale.trust.losses.loss import Loss
from veriscale.trust.losses.registry import make_loss, staircase

LOSSES = {name: make_loss(name, 0.3) for name in ("area", "recall", "violation")}
LOSSES |= {"sup": make_loss("sup"), "tile-mean": make_loss("tile-mean", tile=2)}


@dataclass(frozen=True)
class Case:
    """Units, what they are calibrated to, and risk levels to try."""

    loss: Loss
    units: list[Pictures]
    discrepancy_bound: float
    calibration: Calibration
    alphas: list[Fraction]

    @property
    def bound(self) -> Fraction:
        """B, of the loss."""
        return Fraction(self.calibration.bound)

    def mean_loss(self, thresholds: Sequence[float], rule: Rule = strict) -> Fraction:
        """Of each unit at its own threshold, from the pixels."""
        pairs = zip(self.units, thresholds, strict=True)
        return sum(loss_at(self.loss, unit, t, self.discrepancy_bound, rule) for unit, t in pairs) / len(self.units)

    def thinned(self, limit: int) -> Calibration:
        """Calibrated to few steps."""
        made = (staircase(self.loss, unit, self.discrepancy_bound, limit) for unit in self.units)
        return Calibration(tuple(made), self.calibration.bound)

    def from_others(self, allowed: Fraction | None, extra: Sequence = ()) -> list[float]:
        """The threshold from all units but one, for an allowance that may be wrong, with further staircases."""
        s = self.calibration.staircases
        pools = ((*s[:j], *s[j + 1 :], *extra) for j in range(len(s)))
        return [Calibration(pool, self.calibration.bound).threshold(allowed) for pool in pools]


def hard_case(rng: np.random.Generator, loss: Loss) -> Case:
    """Losses of 0.7 share no power of two with the resolution, and are not a float32."""
    bound = float(rng.choice([1, 2, 0.7]))
    units = hard_set(rng, bound)
    calibration = Calibration(tuple(staircase(loss, unit, bound) for unit in units), loss.bound(bound))
    return Case(loss, units, bound, calibration, hard_alphas(rng, len(units), calibration.bound))


def reversed_sign(case: Case, a: Fraction) -> Fraction:
    """Trusts where the score is higher."""
    return case.mean_loss(case.calibration.leave_one_out([a])[0], np.greater)


def not_strict(case: Case, a: Fraction) -> Fraction:
    """Trusts score ≤ t."""
    return case.mean_loss(case.calibration.leave_one_out([a])[0], np.less_equal)


def without_bound(case: Case, a: Fraction) -> Fraction:
    """Forgets the B of the unit to come."""
    return case.mean_loss(case.from_others(a * len(case.units)))


def all_if_infeasible(case: Case, a: Fraction) -> Fraction:
    """Trusts everything where nothing can be promised."""
    t = case.calibration.leave_one_out([a])[0]
    return case.mean_loss(np.where(t == -inf, inf, t))


MISTAKES: dict[str, Callable[[Case, Fraction], Fraction]] = {
    "reversed_sign": reversed_sign,
    "not_strict": not_strict,
    "without_bound": without_bound,
    "all_if_infeasible": all_if_infeasible,
}
