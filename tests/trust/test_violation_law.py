"""The laws of the violations to come against their integrals and against simulated calibrations."""

from fractions import Fraction
from math import inf

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import beta, betabinom, binom

from veriscale.trust.conformal import Calibration
from veriscale.trust.losses.registry import make_loss, staircase
from veriscale.trust.modes import Guarantee
from veriscale.trust.violation_law import broken_promise, later_violations

VIOLATION = make_loss("violation", tau=0.5)


def total_variation(p, q):
    return np.abs(p - q).sum() / 2


def simulated(m, n, alpha, finite, runs=1500, seed=0):
    """Shares of 0 … m violations among m later units, from maps of two pixels to masks."""
    rng = np.random.default_rng(seed)
    score = rng.random((runs, n + m, 1, 2), np.float32)
    d = np.where(rng.random((runs, n + m, 1, 1)) < finite, np.float32([0.9, 0.1]), np.float32(0))
    allowed = Guarantee("mean", n, 1.0, binary=True).allowance(alpha)
    counts = np.zeros(m + 1)
    for s, off in zip(score, d, strict=True):
        units = tuple(staircase(VIOLATION, [pair], 1.0) for pair in zip(s[:n], off[:n], strict=True))
        trusted = s[n:] < Calibration(units, 1.0).threshold(allowed)
        counts[((off[n:] > 0.5) & trusted).any(axis=(1, 2)).sum()] += 1
    return counts / runs


@pytest.mark.parametrize("m, k, n", [(50, 5, 99), (1, 1, 1), (7, 20, 20), (200, 30, 1000)])
def test_continuous_law_is_beta_binomial(m, k, n):
    law = later_violations(m, k, n)
    assert law == pytest.approx(betabinom.pmf(np.arange(m + 1), m, k, n + 1 - k), rel=1e-9)
    assert law.sum() == pytest.approx(1)
    assert law @ np.arange(m + 1) == pytest.approx(m * k / (n + 1))  # k ≤ alpha (n + 1): at most alpha m


@pytest.mark.parametrize("finite", [0, 1e-3, 0.04, 0.5, 0.999, 1])
def test_law_with_an_atom_is_a_mixture_of_binomials(finite):
    m, k, n = 20, 5, 99

    def mixture(c):
        below = quad(lambda u: binom.pmf(c, m, u) * beta.pdf(u, k, n + 1 - k), 0, finite, points=[finite / 2])[0]
        return below + beta.sf(finite, k, n + 1 - k) * binom.pmf(c, m, finite)

    assert later_violations(m, k, n, finite) == pytest.approx([mixture(c) for c in range(m + 1)], abs=1e-9)


@pytest.mark.parametrize("finite", [1, 0.1])
def test_simulated_calibrations_follow_the_law(finite):
    """Sampling alone is at about 0.03 with 1,500 runs; benchmarks/trust_violation.py takes 10,000."""
    m, n, alpha = 20, 39, Fraction("0.1")
    seen = simulated(m, n, alpha, finite)
    law = later_violations(m, 4, n, finite)
    assert total_variation(seen, law) < 0.06
    assert total_variation(seen, later_violations(m, 5, n, finite)) > 0.06  # another rank
    other = later_violations(m, 4, n, 1.1 - finite)
    assert total_variation(seen, other) > 0.06  # the other case
    assert total_variation(seen, binom.pmf(np.arange(m + 1), m, 0.1)) > 0.06  # calibration units are not many


def test_a_broken_promise_is_as_likely_as_the_binomial_says():
    for alpha, k, n in [(0.05, 3, 99), (0.3, 1, 1), (0.5, 40, 60)]:
        assert broken_promise(alpha, k, n) == pytest.approx(binom.cdf(k - 1, n, alpha), rel=1e-9)


def test_a_unit_without_a_bad_pixel_is_no_violation():
    good = [(np.float32([[0]]), np.float32([[0.1]]))]
    assert Calibration((staircase(VIOLATION, good, 1.0),), 1.0).threshold(Fraction(0)) == inf
