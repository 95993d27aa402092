"""The truth has any rank among exact draws; tame, wild, collapsed and shifted ones are told by their shape."""

import numpy as np
import pytest
from tests.metrics.posteriors import collapsed, gaussian

from veriscale.metrics.rank_histogram import rank_distance, rank_histogram


def distance(draws, truth):
    return rank_distance(rank_histogram(draws, truth, 0))


@pytest.mark.parametrize("draws", [2, 3, 8, 32])
def test_it_is_flat_for_the_exact_posterior(draws):
    counts = rank_histogram(*gaussian(draws)[:2], 0)
    assert counts.shape == (draws + 1,)
    assert counts * (draws + 1) / counts.sum() == pytest.approx(np.ones(draws + 1), abs=0.1)
    assert abs(rank_distance(counts)) < 0.003


@pytest.mark.parametrize("draws", [2, 8])
@pytest.mark.parametrize("places", [5, 40])
def test_the_distance_is_zero_in_expectation_at_any_number_of_places(draws, places):
    counts = np.random.default_rng(0).multinomial(places, np.full(draws + 1, 1 / (draws + 1)), 20_000)
    found = [rank_distance(each) for each in counts]
    assert np.mean(found) == pytest.approx(0, abs=4 * np.std(found) / len(found) ** 0.5)
    biased = (draws + 1) * np.mean(np.square(counts / places).sum(axis=1)) - 1
    assert biased == pytest.approx(draws / places, rel=0.1)


def test_the_distance_is_what_it_says():
    p = np.array([0.5, 0.3, 0.2])
    assert rank_distance((p * 1e9).astype(np.int64)) == pytest.approx(3 * np.sum((p - 1 / 3) ** 2))
    assert rank_distance(np.array([0, 0, 0, 7])) == 3
    assert np.isnan(rank_distance(np.array([0, 1, 0])))


def test_others_are_flagged_by_distance_and_shape():
    for draws, truth in (gaussian(8, 0.5)[:2], gaussian(8, 2)[:2], gaussian(8, shift=1)[:2], collapsed(8)):
        assert distance(draws, truth) > 0.1
    tame, wild = (rank_histogram(*gaussian(8, spread)[:2], 0) for spread in (0.5, 2))
    assert min(tame[0], tame[-1]) > 2 * tame[4]
    assert 2 * max(wild[0], wild[-1]) < wild[4]
    above = rank_histogram(*gaussian(8, shift=1)[:2], 0)
    assert above[0] > 10 * above[-1]


def test_ties_are_broken_evenly_and_by_the_seed():
    draws, truth = np.zeros((3, 40_000)), np.zeros(40_000)
    counts = rank_histogram(draws, truth, 0)
    assert counts / 10_000 == pytest.approx(np.ones(4), abs=0.05)
    assert np.array_equal(counts, rank_histogram(draws, truth, 0))
    assert not np.array_equal(counts, rank_histogram(draws, truth, 1))
    draws[0] = -1
    assert rank_histogram(draws, truth, 0)[0] == 0
    rounded = [np.round(a, 1) for a in gaussian(8)[:2]]  # of a grid so coarse that most are ties
    assert abs(distance(*rounded)) < 0.003


def test_a_direct_count():
    draws = np.array([[0.1, 0.1, 0.9], [0.3, 0.2, 0.8]])
    assert rank_histogram(draws, np.array([0.2, 0.5, 0.1]), 0).tolist() == [1, 1, 1]
