"""Intervals cover what they say, and pairing removes what pictures have in common."""

import math

import numpy as np
import pytest

from veriscale.errors import InputError
from veriscale.metrics.bootstrap import interval, paired_interval, ratio_interval


def coverage(level, runs=300):
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(runs):
        answer = interval(rng.normal(3, 1, 40), level=level, resamples=400)
        hits += answer.low <= 3 <= answer.high
    return hits / runs


def test_coverage_is_the_level():
    assert coverage(0.95) == pytest.approx(0.93, abs=0.04)
    assert coverage(0.5) == pytest.approx(0.49, abs=0.08)  # a wrong level would be seen


def test_width_is_that_of_the_normal_theory():
    values = np.random.default_rng(1).normal(0, 2, 400)
    answer = interval(values)
    assert answer.estimate == pytest.approx(values.mean())
    assert answer.high - answer.low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.08)


def test_pairing_sees_a_difference_that_the_spread_of_pictures_hides():
    rng = np.random.default_rng(0)
    pictures = rng.normal(28, 4, 50)
    ours, theirs = pictures + rng.normal(0.1, 0.1, 50), pictures
    paired = paired_interval(ours, theirs)
    assert 0 < paired.low < 0.1 < paired.high
    unpaired = paired_interval(ours, theirs[::-1])
    assert unpaired.low < 0 < unpaired.high


def test_ratio_is_of_sums_and_not_the_mean_of_ratios():
    answer = ratio_interval([2, 30], [1, 10])
    assert answer.estimate == pytest.approx(32 / 11)
    assert (answer.low, answer.high) == pytest.approx((2, 3))


def test_same_seed_same_interval():
    values = np.random.default_rng(0).normal(size=30)
    assert interval(values, seed=0) == interval(values, seed=0) != interval(values, seed=1)


def test_one_picture_bounds_nothing():
    assert interval([28.4]) == (28.4, -math.inf, math.inf)


@pytest.mark.parametrize("a, b", [([], []), ([1.0, 2.0], [1.0]), ([[1.0]], [[1.0]])])
def test_unpaired_or_missing_values_are_refused(a, b):
    with pytest.raises(InputError, match="one value for each"):
        paired_interval(a, b)
