"""What the promise is about, and how much loss the calibration units may therefore have in all."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from veriscale.errors import InputError, closest
from veriscale.trust.risk_level import exact

MODES = ("mean", "pac", "pac-uniform")

_E = Fraction(2718281828459045236, 10**18)  # just above e
_FINE = 1 << 30  # totals that come from a transcendental equation are rounded down to this fraction of B
_SLACK = 1e-9  # what float logarithms are trusted to: bounds that use them are stricter by this, never laxer
_MOST = 100_000  # units: nobody is told to collect more


@dataclass(frozen=True)
class Guarantee:
    """A promise about the loss of the next unit, and what it asks of the units at hand.

    Attributes:
        mode: `mean`: the expected loss of the next unit is at most alpha, where alpha was fixed before the data were
            seen. `pac`: with probability 1 − delta over the calibration units, the risk is at most alpha; alpha fixed
            before. `pac-uniform`: the same for all alpha at once (binary losses) or all declared ones, so that alpha
            may be chosen after looking.
        n: calibration units, all of whose losses are summed.
        bound: B, the largest loss.
        binary: whether the loss is 0 or B and nothing between.
        leaked: how many of the n units may have been seen in training; it is not known which, and their losses may be
            anything. Which they are must not depend on the others' losses.
        delta: for the `pac` modes, the probability of a calibration that does not keep the promise.
        declared: the risk levels of `pac-uniform` for losses that are not binary.

    Source: `mean`: Angelopoulos et al. 2022 (arXiv 2208.02814), theorem 1. `pac` of binary losses: the binomial tail at
    the k-th smallest of n (Vovk 2012); of others the Hoeffding–Bentkus bound (Bates et al. 2021, arXiv 2101.02703,
    theorem 4), which is below alpha at every smaller threshold because losses do not decrease. `pac-uniform`: the
    one-sided inequality of Dvoretzky, Kiefer and Wolfowitz with Massart's constant (1990). Leakage is ours:
    docs/methods.md#trust.
    """

    mode: str
    n: int
    bound: float
    binary: bool
    leaked: int = 0
    delta: float | None = None
    declared: Sequence[Fraction] = ()

    def allowance(self, alpha: Fraction) -> Fraction | None:
        """What the losses of the n units may sum to; the threshold is where they would exceed it.

        Args:
            alpha: the risk level, above 0, in the unit of the loss.

        Returns:
            The allowance in the unit of the loss, or None where no threshold keeps the promise: the mask is empty.

        Raises:
            InputError: an attribute or alpha is out of its range, or alpha is not declared.
        """
        return self._allowance(alpha, self.n, self._chance(alpha))

    def infeasible(self, alpha: Fraction, units: str = "units") -> str | None:
        """Why every mask is empty, and which alpha or n would do; None where some threshold keeps the promise.

        Args:
            alpha: the risk level.
            units: what the sentence calls them.

        Raises:
            InputError: as `allowance`.
        """
        chance = self._chance(alpha)

        def holds(a: Fraction, units: int) -> bool:
            return self._allowance(a, units, chance) is not None

        if holds(alpha, self.n):
            return None
        nano = _next(lambda m: holds(Fraction(m, 10**9), self.n), int(alpha * 10**9))
        coarse = 10 ** max(len(str(nano)) - 3, 0)
        smallest = -(-nano // coarse) * coarse / 10**9  # rounded up: the number that is read must do
        enough = _next(lambda m: m > _MOST or holds(alpha, m), self.n)
        needed = f"n = {enough}" if enough <= _MOST else f"more than {_MOST} {units}"
        facts = [f"n = {self.n} {units}"]
        facts += [f"{self.leaked} of them possibly seen in training"] if self.leaked else []
        facts += [f"B = {float(self.bound):g}"]
        facts += [f"delta = {self.delta:g}"] if self.mode != "mean" else []
        facts += [f"{len(set(self.declared))} declared alphas"] if self._shared else []
        listed = ", ".join(facts[:-1]) + f" and {facts[-1]}"
        free = not self._shared and smallest <= self.bound
        remedy = f" Give an alpha of {smallest:g} or more." if free else ""
        return f"With {listed} the smallest alpha is {smallest:g}; alpha {float(alpha):g} needs {needed}.{remedy}"

    @property
    def _shared(self) -> bool:
        """Whether delta is shared among the declared levels."""
        return self.mode == "pac-uniform" and not self.binary

    def _chance(self, alpha: Fraction) -> Fraction:
        """The checked delta of one level, as an exact number; 1 in mode `mean`, which has none."""
        if self.mode not in MODES:
            raise InputError(f"Unknown mode {self.mode!r}; {closest(self.mode, MODES)}.")
        if alpha <= 0:
            raise InputError(f"A risk level of {float(alpha):g} cannot be kept; give a number above 0, such as 0.05.")
        if alpha > self.bound:
            raise InputError(
                f"A risk level of {float(alpha):g} promises nothing, since no loss is above {float(self.bound):g}; "
                "give a smaller one, such as 0.05."
            )
        if not 0 <= self.leaked <= self.n:
            raise InputError(f"{self.leaked} leaked units among {self.n} cannot be; give a number from 0 to {self.n}.")
        if self.mode == "mean":
            return Fraction(1)
        if self.delta is None or not 0 < self.delta < 1:
            raise InputError(f"Mode '{self.mode}' needs a delta between 0 and 1, such as 0.1; got {self.delta}.")
        if not self._shared:
            return exact(self.delta)
        if alpha not in self.declared:
            known = ", ".join(f"{float(a):g}" for a in self.declared) or "none"
            raise InputError(
                f"alpha {float(alpha):g} was not declared; declare every alpha before calibration (declared: {known})."
            )
        return exact(self.delta) / len(set(self.declared))

    def _allowance(self, alpha: Fraction, n: int, delta: Fraction) -> Fraction | None:
        """Of n units, with a checked delta."""
        trials, bound = n - self.leaked, Fraction(self.bound)
        if self.mode == "mean":
            allowed = alpha * (trials + 1) - bound
            return allowed if allowed >= 0 else None
        share = alpha / bound
        if share >= 1:
            return n * bound
        if not self.binary:
            total = _hoeffding_bentkus(trials, share, delta)
        elif self.mode == "pac":
            total = _binomial_rank(trials, share, delta)
        else:
            total = _dkw(trials, share, delta)
        return None if total is None else total * bound


def _binomial_rank(trials: int, share: Fraction, delta: Fraction) -> Fraction | None:
    """The largest m with P(Bin(trials, share) ≤ m) ≤ delta, in exact integers."""
    p, q = share.numerator, share.denominator
    whole = q**trials
    term = (q - p) ** trials  # P(Bin = m) · whole
    total, m = term, 0
    while total * delta.denominator <= delta.numerator * whole:
        term = term * (trials - m) * p // ((m + 1) * (q - p))
        total += term
        m += 1
    return Fraction(m - 1) if m else None


def _hoeffding_bentkus(trials: int, share: Fraction, delta: Fraction) -> Fraction | None:
    """The largest sum of losses in [0, 1] whose p-value against a mean of `share` is at most delta.

    Bates et al. 2021, theorem 4: the smaller of exp(−n·h(mean, share)) and e·P(Bin(n, share) ≤ ⌈sum⌉).
    """
    a = float(share)
    least = -math.log(delta) * (1 + _SLACK) + _SLACK

    def strong(total: int) -> bool:
        x = total / (trials * _FINE)
        divergence = (x * math.log(x / a) if x else 0.0) + (1 - x) * (math.log1p(-x) - math.log1p(-a))
        return trials * divergence >= least

    if trials == 0 or not strong(0):
        return None
    hoeffding = Fraction(_next(lambda m: not strong(m), 0, int(share * trials * _FINE)) - 1, _FINE)
    return max(hoeffding, _binomial_rank(trials, share, delta / _E) or Fraction(0))


def _dkw(trials: int, share: Fraction, delta: Fraction) -> Fraction | None:
    """trials · (share − ε), P(sup F − F_n > ε) ≤ exp(−2·trials·ε²) ≤ delta, which Massart proved for delta ≤ 1/2."""
    lost = math.sqrt(-math.log(min(delta, Fraction(1, 2))) * trials / 2) * (1 + _SLACK)
    allowed = trials * share - Fraction(lost)
    return Fraction(math.floor(allowed)) if trials and allowed >= 0 else None


def _next(holds: Callable[[int], bool], low: int, high: int | None = None) -> int:
    """The smallest integer above `low` from which on `holds`, which does not at `low`."""
    step = 1
    while high is None:
        if holds(low + step):
            high = low + step
        else:
            low, step = low + step, 2 * step
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high
