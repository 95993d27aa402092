"""Intervals over patients and over draws, against scipy's own tests."""

import numpy as np
import pytest
from scipy.stats import ttest_1samp, ttest_rel


@pytest.fixture
def t(benchmark):
    return benchmark("paired_t")


def test_intervals_are_those_of_scipy(t):
    a, b = np.random.default_rng(0).normal(size=(2, 3, 8)) + np.array([0.3, 0.0])[:, None, None]
    found = t.compared(a, b)
    for ends, axis in ((found.patients, 0), (found.draws, 1)):
        assert ends == pytest.approx(ttest_rel(a.mean(axis), b.mean(axis)).confidence_interval())
    assert found.mean == pytest.approx((a - b).mean())


def test_it_holds_the_mean_as_often_as_it_says(t):
    values = np.random.default_rng(1).normal(2.0, 3.0, (2000, 8))
    held = np.mean([low <= 2.0 <= high for low, high in map(t.t_interval, values)])
    assert 0.935 < held < 0.965
    normal = np.mean([abs(v.mean() - 2.0) <= 1.96 * v.std(ddof=1) / 8**0.5 for v in values])
    assert normal < 0.92  # what forgets the degrees of freedom is seen


def test_a_claim_needs_both(t):
    patients, draws = np.array([0.9, 1.0, 1.1, 1.0]), np.array([[-5.0], [1.0], [7.0]])
    surely = patients + np.array([[-0.1], [0.0], [0.1]])
    assert t.compared(surely, 0 * surely).claimed
    assert t.compared(0 * surely, surely).claimed
    of_draws = patients + draws  # every patient gains on average, and one draw in three loses
    found = t.compared(of_draws, 0 * of_draws)
    assert found.patients[0] > 0
    assert not found.claimed
    of_patients = t.compared(surely - [0, 2, 0, 2], 0 * surely)
    assert not of_patients.claimed


def test_without_draws_there_is_no_claim(t):
    one = np.array([[1.0, 1.1, 0.9]])
    found = t.compared(one, 0 * one)
    assert found.patients == pytest.approx(ttest_1samp(one[0], 0).confidence_interval())
    assert found.draws is None
    assert not found.claimed


def test_a_parent_that_nobody_drew_for_is_paired_with_every_draw(t):
    a, b = np.random.default_rng(2).normal(size=(3, 4)), np.arange(4.0)[None]
    assert t.compared(a, b) == t.compared(a, np.repeat(b, 3, axis=0))


@pytest.mark.parametrize(("of_draws", "of_patients"), [(1.0, 1.0), (2.0, 0.3), (0.3, 2.0), (0.0, 1.0)])
def test_both_sources_of_chance_together(t, of_draws, of_patients):
    """Patients and draws are new in every trial; an interval over one of them alone forgets the other."""
    rng = np.random.default_rng(3)
    held = []
    for _ in range(1500):
        values = 1 + of_draws * rng.normal(size=(3, 1)) + of_patients * rng.normal(size=8) + rng.normal(size=(3, 8))
        found = t.compared(values, 0 * values)
        held.append([low <= 1 <= high for low, high in (found.both, found.patients, found.draws)])
    both, patients, draws = np.mean(held, axis=0)
    assert both > 0.93
    assert min(patients, draws) < 0.93
    flat = np.full((3, 4), 2.0)
    assert t.compared(flat, 0 * flat).both == (2.0, 2.0)
