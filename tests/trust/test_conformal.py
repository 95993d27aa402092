"""The threshold is the one of the definition, and the leave-one-out identity holds for any units at all."""

import subprocess
import sys
from fractions import Fraction
from functools import cache
from math import inf

import numpy as np
import pytest
from tests.trust.brute_force import BruteForce, loss_at
from tests.trust.identity import LOSSES, MISTAKES, hard_case

from veriscale.trust.conformal import Calibration
from veriscale.trust.losses.registry import staircase
from veriscale.trust.modes import Guarantee
from veriscale.trust.staircase import RESOLUTION, Staircase, from_losses

every_loss = pytest.mark.parametrize("name", LOSSES)
ROUNDING = Fraction(1, 10**9)


@cache
def cases(name, count=120):
    rng = np.random.default_rng(1)
    return [hard_case(rng, LOSSES[name]) for _ in range(count)]


@every_loss
def test_thresholds_equal_brute_force(name):
    for case in cases(name):
        brute, n = BruteForce(case.loss, case.units, case.discrepancy_bound), len(case.units)
        allowed = [a * (n + 1) - case.bound for a in case.alphas] + [Fraction(0), None, n * case.bound]
        expected = [-inf if a is None else brute.threshold(a) for a in allowed]
        assert case.calibration.thresholds(allowed).tolist() == expected
        assert [case.calibration.threshold(a) for a in allowed] == expected
        for a, t in zip(case.alphas, case.calibration.leave_one_out(case.alphas), strict=True):
            assert t.tolist() == [brute.threshold(a * n - case.bound, left_out=j) for j in range(n)]


@every_loss
def test_leave_one_out_risk_is_at_most_alpha(name):
    for case in cases(name):
        for calibration in (case.calibration, case.thinned(2)):
            for a, t in zip(case.alphas, calibration.leave_one_out(case.alphas), strict=True):
                assert case.mean_loss(t) <= a


@every_loss
def test_leave_one_out_risk_is_not_far_below_alpha(name):
    near = 0
    for case in cases(name):
        n, jump = len(case.units), Fraction(case.calibration.largest_jump())
        risks = case.calibration.losses_at(case.calibration.leave_one_out(case.alphas)).mean(axis=1)
        for a, risk in zip(case.alphas, risks, strict=True):
            if a * n >= case.bound and case.calibration.threshold(a * n - case.bound) < inf:
                assert Fraction(risk) >= a - case.bound / n - jump - ROUNDING
                near += Fraction(risk) < a - case.bound / n - jump / 2
    assert near > 0  # half of the jump would not do


@every_loss
def test_losses_at_thresholds_are_those_of_the_pixels(name):
    for case in cases(name)[:40]:
        t = case.calibration.leave_one_out(case.alphas)
        expected = [
            [float(loss_at(case.loss, u, x, case.discrepancy_bound)) for u, x in zip(case.units, row, strict=True)]
            for row in t
        ]
        assert case.calibration.losses_at(t) == pytest.approx(np.array(expected), abs=4e-9)


@every_loss
@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_the_identity_sees_the_usual_mistakes(name, mistake):
    assert sum(mistake(case, case.alphas[0]) > case.alphas[0] for case in cases(name)) > 0


@every_loss
def test_only_brute_force_sees_n_for_n_plus_one(name):
    differs = 0
    for case in cases(name):
        a = case.alphas[0]
        t = case.from_others(a * (len(case.units) - 1) - case.bound)
        assert case.mean_loss(t) <= a
        differs += t != case.calibration.leave_one_out([a])[0].tolist()
    assert differs > 0


@every_loss
def test_leaked_units_may_have_any_losses(name):
    """The identity over the clean units: the leaked ones are in every calibration and never the next unit."""
    harmless = Staircase(np.float32([]), np.array([], np.int64))
    hopeless = Staircase(np.float32([-inf]), np.array([RESOLUTION]))
    too_high = 0
    for k, case in enumerate(cases(name)):
        leaked = 1 + k % 3
        lie = (harmless, hopeless, staircase(case.loss, case.units[0], case.discrepancy_bound))[k // 3 % 3]
        n = len(case.units) - 1 + leaked
        for a in case.alphas:
            told, untold = (
                Guarantee("mean", n, case.calibration.bound, binary=False, leaked=count).allowance(a)
                for count in (leaked, 0)
            )
            assert case.mean_loss(case.from_others(told, [lie] * leaked)) <= a
            too_high += case.mean_loss(case.from_others(untold, [lie] * leaked)) > a
    assert too_high > 0  # leakage that is not told breaks the promise


def test_ranks_are_exact_where_floats_are_not():
    assert int(0.29 * 100) == 28
    units = tuple(Staircase(np.float32([score]), np.array([RESOLUTION])) for score in range(99))
    allowed = Guarantee("mean", 99, 1.0, binary=True).allowance(Fraction("0.29"))
    assert Calibration(units, 1.0).threshold(allowed) == 28  # the 29th smallest score


def test_tied_units_jump_together():
    units = tuple(from_losses([1, 2], [0.25, 1], bound=1) for _ in range(4))
    calibration = Calibration(units, 1.0)
    assert calibration.thresholds([Fraction(3, 4), Fraction(1), Fraction(4)]).tolist() == [1, 2, inf]
    assert calibration.largest_jump() == 0.75
    assert Calibration(units[:1], 1.0).largest_jump() == 0.75


def test_nothing_to_lose_means_everything_is_trusted():
    calibration = Calibration(tuple(from_losses([], [], 1) for _ in range(3)), 1.0)
    assert calibration.thresholds([None, Fraction(-1), Fraction(0)]).tolist() == [-inf, -inf, inf]
    assert calibration.largest_jump() == 0


def test_trust_runs_without_torch():
    code = "import sys, veriscale.trust.conformal, veriscale.trust.losses.registry, veriscale.trust.violation_law"
    subprocess.run([sys.executable, "-c", f"{code}; assert 'torch' not in sys.modules"], check=True)
