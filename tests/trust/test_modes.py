"""What the losses may sum to: exact numbers, promises that are kept, and sentences whose numbers are right."""

import re
from fractions import Fraction
from math import e, exp, floor, inf, log, sqrt

import numpy as np
import pytest
from scipy.stats import binom

from veriscale.errors import InputError
from veriscale.trust.conformal import Calibration
from veriscale.trust.modes import Guarantee
from veriscale.trust.risk_level import exact
from veriscale.trust.staircase import RESOLUTION, Staircase

ALPHAS = [Fraction(k, 40) for k in range(1, 40)]


def simulated_thresholds(allowed, n, runs, parts=1, seed=0):
    """(runs, len(allowed)) thresholds for units whose loss at t is the share of their `parts` uniform scores below t.

    The risk at t is t itself, and with one part the loss is 0 or 1.
    """
    scores = np.sort(np.random.default_rng(seed).random((runs, n, parts), np.float32), axis=2)
    losses = np.arange(1, parts + 1) * (RESOLUTION // parts)
    made = (Calibration(tuple(Staircase(own, losses) for own in unit), 1.0) for unit in scores)
    return np.array([calibration.thresholds(allowed) for calibration in made])


def standard_error(p, runs):
    return sqrt(p * (1 - p) / runs)


@pytest.mark.parametrize("written", [0.1, "0.1", Fraction(1, 10), np.float64(0.1)])
def test_a_risk_level_is_what_is_written(written):
    assert exact(written) == Fraction(1, 10) != Fraction(0.1)


@pytest.mark.parametrize("written", [0, -0.1, "0", "five", float("nan"), inf, "1/0"])
def test_what_is_no_risk_level_is_refused(written):
    with pytest.raises(InputError, match=r"such as 0\.05"):
        exact(written)


def test_mean_leaves_room_for_the_next_unit():
    assert Guarantee("mean", 99, 1.0, binary=False).allowance(Fraction("0.05")) == 4
    assert Guarantee("mean", 99, 2.0, binary=False).allowance(Fraction("0.05")) == 3
    assert Guarantee("mean", 109, 1.0, binary=True, leaked=10).allowance(Fraction("0.05")) == 4
    assert Guarantee("mean", 19, 1.0, binary=False).allowance(Fraction("0.05")) == 0
    assert Guarantee("mean", 19, 1.0, binary=False).allowance(Fraction("0.0499")) is None


@pytest.mark.parametrize("n, leaked", [(20, 0), (99, 0), (99, 9), (300, 1)])
def test_pac_allows_the_largest_rank_within_delta(n, leaked):
    for alpha in ALPHAS:
        cdf = binom.cdf(np.arange(n + 1), n - leaked, float(alpha))
        allowed = Guarantee("pac", n, 1.0, binary=True, leaked=leaked, delta=0.1).allowance(alpha)
        assert (-1 if allowed is None else allowed) == (cdf <= 0.1).sum() - 1


def test_pac_is_exact_on_the_edge():
    edge = Fraction(1, 2) ** 4  # P(Bin(4, 1/2) = 0), and it is a float
    assert Guarantee("pac", 4, 1.0, binary=True, delta=float(edge)).allowance(Fraction(1, 2)) == 0
    assert Guarantee("pac", 4, 1.0, binary=True, delta=0.0624).allowance(Fraction(1, 2)) is None


@pytest.mark.parametrize("n", [30, 100, 1000])
@pytest.mark.parametrize("bound", [1.0, 2.0])
def test_hoeffding_bentkus_allows_the_largest_total_within_delta(n, bound):
    def p_value(total, a):
        x = min(total / n, a)
        hoeffding = exp(-n * ((x * log(x / a) if x else 0) + (1 - x) * log((1 - x) / (1 - a))))
        return min(hoeffding, e * binom.cdf(np.ceil(total - 1e-12), n, a))

    for alpha in ALPHAS:
        allowed = Guarantee("pac", n, bound, binary=False, delta=0.1).allowance(alpha * Fraction(bound))
        if allowed is None:
            assert p_value(0, float(alpha)) > 0.1
        else:
            assert p_value(float(allowed) / bound, float(alpha)) <= 0.1
            assert p_value(float(allowed) / bound + 1e-5, float(alpha)) > 0.1


def test_pac_breaks_its_promise_as_often_as_the_binomial_says():
    n, runs = 60, 2500
    levels = [Fraction("0.05"), Fraction("0.1"), Fraction("0.3")]
    allowed = [Guarantee("pac", n, 1.0, binary=True, delta=0.1).allowance(a) for a in levels]
    broken = (simulated_thresholds(allowed, n, runs) > np.array(levels, float)).mean(axis=0)
    law = [binom.cdf(int(m), n, float(a)) for m, a in zip(allowed, levels, strict=True)]
    for seen, p in zip(broken, law, strict=True):
        assert seen == pytest.approx(p, abs=4 * standard_error(p, runs))
        assert p <= 0.1
    one_more = (simulated_thresholds([m + 1 for m in allowed], n, runs) > np.array(levels, float)).mean(axis=0)
    assert (one_more > 0.1).all()  # the next rank would not do


@pytest.mark.parametrize("parts", [1, 2, 8])
def test_bounded_pac_keeps_its_promise(parts):
    n, runs, alpha = 60, 2000, Fraction("0.2")
    allowed = [
        Guarantee("pac", n, 1.0, binary=False, delta=0.1).allowance(alpha),
        Guarantee("mean", n, 1.0, binary=False).allowance(alpha),
    ]
    broken = (simulated_thresholds(allowed, n, runs, parts) > float(alpha)).mean(axis=0)
    assert broken[0] <= 0.1
    assert broken[1] > 0.2  # keeping the mean is another promise
    assert parts > 1 or broken[0] > 0.01  # not by allowing nothing


def test_pac_with_leaked_units_keeps_its_promise():
    n, leaked, runs, alpha = 60, 15, 2000, Fraction("0.2")
    for binary in (True, False):
        told, untold = (
            Guarantee("pac", n, 1.0, binary=binary, leaked=count, delta=0.1).allowance(alpha) for count in (leaked, 0)
        )
        # the leaked units of the worst case have no loss, so the clean ones stand alone
        broken = (simulated_thresholds([told, untold], n - leaked, runs) > float(alpha)).mean(axis=0)
        assert broken[0] <= 0.1 + 4 * standard_error(0.1, runs)
        assert broken[1] > 0.15


def test_only_pac_uniform_lets_alpha_be_chosen_after_looking():
    n, runs, delta = 60, 1500, 0.1
    levels = [Fraction(k, 100) for k in range(1, 100)]

    def broken_somewhere(mode):
        allowed = [Guarantee(mode, n, 1.0, binary=True, delta=delta).allowance(a) for a in levels]
        return (simulated_thresholds(allowed, n, runs) > np.array(levels, float)).any(axis=1).mean()

    assert broken_somewhere("pac-uniform") <= delta + 4 * standard_error(delta, runs)
    assert broken_somewhere("pac") > 2 * delta


def test_pac_uniform_is_dvoretzky_kiefer_wolfowitz():
    lost = sqrt(log(10) / 2 * 90)
    for alpha in ALPHAS:
        allowed = Guarantee("pac-uniform", 99, 1.0, binary=True, leaked=9, delta=0.1).allowance(alpha)
        assert (-1 if allowed is None else allowed) == max(floor(90 * alpha - lost), -1)


def test_delta_above_one_half_is_not_used():
    """Massart's inequality is for delta up to 1/2."""
    levels = [Guarantee("pac-uniform", 50, 1.0, binary=True, delta=d).allowance(Fraction(1, 2)) for d in (0.5, 0.9)]
    assert levels[0] == levels[1]


def test_bounded_pac_uniform_shares_delta():
    declared = [Fraction("0.1"), Fraction("0.2"), Fraction("0.1"), Fraction("0.4"), Fraction("0.5")]  # four of them
    for alpha in declared:
        shared = Guarantee("pac-uniform", 99, 1.0, binary=False, delta=0.1, declared=declared).allowance(alpha)
        assert shared == Guarantee("pac", 99, 1.0, binary=False, delta=0.025).allowance(alpha)
    for others in ([], declared):
        with pytest.raises(InputError, match=r"alpha 0\.3 was not declared"):
            Guarantee("pac-uniform", 99, 1.0, binary=False, delta=0.1, declared=others).allowance(Fraction("0.3"))


@pytest.mark.parametrize("mode", ["mean", "pac", "pac-uniform"])
@pytest.mark.parametrize("binary", [True, False])
def test_alpha_of_the_bound_promises_nothing_and_allows_everything(mode, binary):
    declared = [Fraction(2), Fraction("2.1")]
    guarantee = Guarantee(mode, 20, 2.0, binary=binary, delta=0.1, declared=declared)
    assert guarantee.allowance(Fraction(2)) >= 40
    for ask in (guarantee.allowance, guarantee.infeasible):
        with pytest.raises(InputError, match=r"A risk level of 2\.1 promises nothing, since no loss is above 2"):
            ask(Fraction("2.1"))


SETTINGS = [
    ("mean", False, {}),
    ("mean", False, {"leaked": 4}),
    ("pac", True, {"delta": 0.1}),
    ("pac", True, {"delta": 0.05, "leaked": 3}),
    ("pac", False, {"delta": 0.1}),
    ("pac-uniform", True, {"delta": 0.1}),
    ("pac-uniform", False, {"delta": 0.1, "declared": [Fraction("0.01"), Fraction("0.02")]}),
]


@pytest.mark.parametrize("bound", [1.0, 2.0])
@pytest.mark.parametrize("mode, binary, options", SETTINGS)
def test_the_sentence_names_the_alpha_and_the_n_that_would_do(mode, binary, options, bound):
    sentence = Guarantee(mode, 20, bound, binary=binary, **options).infeasible(Fraction("0.02"))
    smallest, needed = re.search(r"smallest alpha is ([\d.]+); alpha 0\.02 needs n = (\d+)\.", sentence).groups()

    def allowed(alpha, n):
        known = {"declared": [alpha, Fraction(1, 3)]} if "declared" in options else {}
        return Guarantee(mode, n, bound, binary=binary, **options | known).allowance(alpha)

    last_digit = Fraction(1, 10 ** len(smallest.partition(".")[2]))
    assert allowed(Fraction(smallest), 20) is not None
    assert allowed(Fraction(smallest) - 10 * last_digit, 20) is None
    assert allowed(Fraction("0.02"), int(needed)) is not None
    assert allowed(Fraction("0.02"), int(needed) - 1) is None
    assert Guarantee(mode, int(needed), bound, binary=binary, **options).infeasible(Fraction("0.02")) is None


def test_sentences():
    assert Guarantee("mean", 20, 1.0, binary=False).infeasible(Fraction("0.02")) == (
        "With n = 20 units and B = 1 the smallest alpha is 0.0477; alpha 0.02 needs n = 49. "
        "Give an alpha of 0.0477 or more."
    )
    assert Guarantee("pac", 20, 1.0, binary=True, leaked=2, delta=0.1).infeasible(Fraction("0.02")) == (
        "With n = 20 units, 2 of them possibly seen in training, B = 1 and delta = 0.1 the smallest alpha is 0.121; "
        "alpha 0.02 needs n = 116. Give an alpha of 0.121 or more."
    )
    assert (
        Guarantee("mean", 20, 1.0, binary=False)
        .infeasible(Fraction("0.000001"))
        .endswith("needs more than 100000 units. Give an alpha of 0.0477 or more.")
    )
    shared = Guarantee("pac-uniform", 20, 1.0, binary=False, delta=0.1, declared=[Fraction("0.02"), Fraction("0.05")])
    assert "Give" not in shared.infeasible(Fraction("0.02"))  # no other level may be asked for


@pytest.mark.parametrize(
    "changed, sentence",
    [
        ({"mode": "average"}, r"Unknown mode 'average'.*known: mean, pac, pac-uniform"),
        ({"alpha": Fraction(0)}, "risk level of 0"),
        ({"leaked": 21}, "21 leaked units among 20"),
        ({"leaked": -1}, "-1 leaked units"),
        ({"mode": "pac"}, "needs a delta between 0 and 1"),
        ({"mode": "pac", "delta": 1.0}, "needs a delta"),
        ({"mode": "pac-uniform", "delta": 0.0}, "needs a delta"),
    ],
)
def test_wrong_arguments_are_refused(changed, sentence):
    arguments = {"mode": "mean", "alpha": Fraction("0.1"), "n": 20, "bound": 1.0, "binary": True} | changed
    alpha = arguments.pop("alpha")
    for function in (Guarantee.allowance, Guarantee.infeasible):
        with pytest.raises(InputError, match=sentence):
            function(Guarantee(**arguments), alpha)
