"""A staircase is left-continuous, exact in integers, and never below the loss that it stands for."""

import doctest
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.trust.brute_force import stored

from veriscale.errors import InputError
from veriscale.trust import risk_level
from veriscale.trust import staircase as module
from veriscale.trust.staircase import RESOLUTION, Staircase, from_losses, in_units, thinned

INF = np.inf
STEEP = Staircase(np.float32([-INF, -1, 0.1, 5]), np.array([1, 10, 100, RESOLUTION]))


def random_staircase(seed, steps):
    rng = np.random.default_rng(seed)
    losses = np.unique(rng.integers(1, rng.choice([2 * steps, 10 * steps, RESOLUTION]), steps))
    return Staircase(np.sort(rng.choice(8 * steps, losses.size, replace=False).astype(np.float32)), losses)


def test_a_step_counts_just_above_its_score():
    for k, score in enumerate(STEEP.scores.astype(np.float64)):
        before = STEEP.losses[k - 1] if k else 0
        assert STEEP.at(score) == before  # with ≤ it would be losses[k]
        assert STEEP.at(np.nextafter(score, INF)) == STEEP.losses[k]
    assert STEEP.at(INF) == RESOLUTION


def test_many_thresholds_at_once_keep_their_shape():
    t = np.array([[-INF, -5, -1], [0.0, 0.2, INF]])
    assert STEEP.at(t).tolist() == [[0, 1, 1], [10, 100, RESOLUTION]]
    assert Staircase(np.float32([]), np.array([], np.int64)).at(t).tolist() == [[0, 0, 0], [0, 0, 0]]


@pytest.mark.parametrize("bound", [1, 2, 0.7, 1 / 3, 10.0, 1e-3])
def test_losses_are_rounded_up_exactly(bound):
    rng = np.random.default_rng(0)
    whole = np.arange(1, 400) * (bound / RESOLUTION) * 977  # on or next to a whole number of units
    values = np.clip(np.concatenate([rng.random(400) * bound, whole, [0, bound]]), 0, bound)
    units = in_units(values, bound)
    assert [Fraction(int(u)) * Fraction(bound) / RESOLUTION for u in units] == [
        stored(Fraction(float(v)), bound) for v in values
    ]
    if bound == 0.7:
        assert (np.ceil(values * RESOLUTION / bound) < units).any()  # what floats alone would get wrong


def test_own_loss_is_that_just_above_each_score():
    own = from_losses([-INF, 0.25, 0.5, 2], [0.0, 0.5, 0.5, 1.5], bound=2)
    assert own.scores.tolist() == [0.25, 2]  # steps that add nothing are gone
    assert own.losses.tolist() == [RESOLUTION // 4, 3 * RESOLUTION // 4]
    assert from_losses([], [], 1).at(INF) == 0


def test_own_scores_in_double_precision_never_come_late():
    scores = np.sort(np.random.default_rng(0).normal(size=500))
    values = np.arange(1, 501) / 500
    own = from_losses(scores, values, bound=1)
    t = np.sort(np.concatenate([scores, scores.astype(np.float32), np.nextafter(scores, INF)])).astype(np.float64)
    loss = np.concatenate([[0], values])[np.searchsorted(scores, t)]
    assert (own.at(t) >= loss * RESOLUTION).all()
    late = Staircase(scores.astype(np.float32), own.losses)
    assert (late.at(t) < loss * RESOLUTION).any()  # what rounding to the nearest would do
    assert from_losses([1e300], [1], 1).at(INF) == RESOLUTION
    assert from_losses([1.0, 1.0 + 1e-12], [0.25, 0.5], 1).losses.tolist() == [RESOLUTION // 2]


@pytest.mark.parametrize(
    "scores, values, bound, sentence",
    [
        ([0, 1, 1, 2], [0, 0.1, 0.2, 0.3], 1, r"score 2 \(1\) is not above the one before"),
        ([0, 2, 1], [0, 0.1, 0.2], 1, r"score 2 \(1\) is not above"),
        ([0, np.nan], [0, 0.1], 1, "score 1 is nan"),
        ([0, INF], [0, 0.1], 1, "score 1 is inf"),
        ([0, 1, 2, 3], [0, 0.2, 0.1, 0.05], 1, r"value 2 \(0.1\) is below the one before \(0.2\)"),
        ([0, 1], [0.1, np.nan], 1, "value 1"),
        ([0, 1], [-0.1, 0.1], 1, r"value 0 \(-0.1\) is outside of 0 to B = 1"),
        ([0, 1], [0.1, 1.1], 1, r"value 1 \(1.1\) is outside of 0 to B = 1"),
        ([0, 1], [0.1], 1, "one number for each score"),
        ([0, 1], [0.1, 1.1], 0, "cannot be bounded by 0"),
        ([0, 1], [0.1, 1.1], np.nan, "cannot be bounded by nan"),
    ],
)
def test_what_is_no_staircase_is_refused_by_position(scores, values, bound, sentence):
    with pytest.raises(InputError, match=sentence):
        from_losses(scores, values, bound)


def test_values_that_reach_the_bound_in_single_precision_are_within_it():
    assert np.float32(0.1) > np.float64(0.1)
    assert from_losses([0.0], np.float32([0.1]), bound=0.1).losses.tolist() == [RESOLUTION]


@given(st.integers(0, 10**6), st.integers(1, 300), st.sampled_from([1, 2, 7, 64, 1024]))
def test_thinning_overstates_by_less_than_a_band(seed, steps, limit):
    full = random_staircase(seed, steps)
    thin = thinned(full, limit)
    t = np.append(np.linspace(-1, 8 * steps + 1, 2000), [-INF, INF])
    assert thin.losses.size <= limit
    assert (np.diff(thin.losses) > 0).all()
    assert (np.diff(thin.scores) > 0).all()
    assert (thin.at(t) >= full.at(t)).all()
    assert ((thin.at(t) - full.at(t)) * limit < full.losses[-1] + limit).all()


def test_a_short_staircase_is_left_as_it_is():
    full = random_staircase(0, 50)
    assert thinned(full, full.losses.size) is full
    assert thinned(full, full.losses.size - 1).losses.size < full.losses.size


@pytest.mark.parametrize("documented", [module, risk_level])
def test_examples_of_the_docstrings(documented):
    assert doctest.testmod(documented) == (0, 1 + (documented is module))
