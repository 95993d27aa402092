"""Does the std order places as their errors do: against sorting, and against scipy."""

import numpy as np
import pytest
from scipy.stats import spearmanr
from tests.metrics.posteriors import collapsed, gaussian

from veriscale.metrics.sparsification import ause, order_sums, spearman


def sorted_area(error, by):
    """Of the mean error of the places that are left, by taking out one after the other."""
    kept = error[np.argsort(by)]
    return np.mean(np.cumsum(kept) / np.arange(1, kept.size + 1)) / error.mean()


@pytest.mark.parametrize("draws", [2, 3, 8, 32])
def test_they_are_those_of_sorted_places(draws):
    samples, truth, _ = gaussian(draws)
    error, std, sums = np.abs(samples.mean(0) - truth), samples.std(0, ddof=1), order_sums(samples, truth)
    assert ause(sums) == pytest.approx(sorted_area(error, std) - sorted_area(error, error), abs=1e-3)
    assert spearman(sums) == pytest.approx(spearmanr(std, error).statistic, abs=1e-3)


def test_with_ties_they_are_exact():
    """Std and error are powers of two, each in a bin of its own: K = 2 draws at mean ± s/√2."""
    rng = np.random.default_rng(0)
    std, error = 2.0 ** -rng.integers(1, 4, 500), 2.0 ** -rng.integers(2, 6, 500)
    samples = 0.5 + np.array([[-1], [1]]) * std / 2**0.5
    sums = order_sums(samples * (1 + 1e-6), 0.5 + error * (1 + 1e-6))  # off the bins' edges
    assert spearman(sums) == pytest.approx(spearmanr(std, error).statistic, abs=1e-12)
    shuffled = np.mean([sorted_area(error[p], std[p]) for p in (rng.permutation(500) for _ in range(2000))])
    assert ause(sums) == pytest.approx(shuffled - sorted_area(error, error), abs=2e-3)


def test_a_std_that_is_the_error_is_the_oracle_and_one_that_is_its_inverse_the_opposite():
    error = np.random.default_rng(0).uniform(0.01, 1, 5000)
    for std, rank in ((error, 1), (0.02 / error, -1)):
        samples = np.array([[-1], [1]]) * std / 2**0.5
        sums = order_sums(samples, error)
        assert spearman(sums) == pytest.approx(rank, abs=1e-3)
        if rank == 1:
            assert ause(sums) == pytest.approx(0, abs=1e-3)
        else:
            assert ause(sums) == pytest.approx(sorted_area(error, 1 / error) - sorted_area(error, error), abs=1e-3)


def test_the_scale_of_the_draws_does_not_matter_and_their_order_does():
    exact, tame = (order_sums(*gaussian(8, spread)[:2]) for spread in (1.0, 0.5))
    assert ause(tame) == pytest.approx(ause(exact), abs=0.01)
    samples, truth, _ = gaussian(8)
    lost = samples.mean(0) + (samples - samples.mean(0))[:, np.random.default_rng(0).permutation(truth.size)]
    assert ause(order_sums(lost, truth)) > 2 * ause(exact)
    assert abs(spearman(order_sums(lost, truth))) < 0.05 < spearman(exact)


def test_a_collapsed_sampler_orders_nothing():
    samples, truth = collapsed(8)
    sums = order_sums(samples, truth)
    error = np.abs(samples.mean(0) - truth)
    assert np.isnan(spearman(sums))
    assert ause(sums) == pytest.approx(1 - sorted_area(error, error), abs=1e-3)


def test_where_nothing_errs_there_is_no_area():
    truth = np.linspace(0, 1, 9)
    assert np.isnan(ause(order_sums(np.array([truth - 0.25, truth + 0.25]), truth)))


def test_sums_pool_over_pictures():
    (a, x, _), (b, y, _) = gaussian(8), gaussian(8, 0.5, seed=1)
    together, pooled = order_sums(np.hstack([a, b]), np.hstack([x, y])), order_sums(a, x) + order_sums(b, y)
    assert ause(pooled) == pytest.approx(ause(together))
    assert spearman(pooled) == pytest.approx(spearman(together))
