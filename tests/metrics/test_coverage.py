"""Intervals of an exact sampler hold the truth as often as they say; others are seen."""

import numpy as np
import pytest
from scipy.stats import norm
from tests.metrics.posteriors import collapsed, gaussian

from veriscale.errors import InputError
from veriscale.metrics.coverage import coverage_sums, fewest_draws

LEVELS = (0.5, 0.8, 0.9)


@pytest.mark.parametrize("draws", [2, 3, 8, 32])
def test_the_exact_posterior_covers_what_it_says_at_any_number_of_draws(draws):
    assert coverage_sums(*gaussian(draws)[:2], LEVELS).coverage == pytest.approx(LEVELS, abs=0.01)


@pytest.mark.parametrize("draws", [19, 39])
def test_quantiles_at_whole_positions_cover_what_they_say_of_any_distribution(draws):
    draws, truth, _ = gaussian(draws)
    assert coverage_sums(draws**3, truth**3, LEVELS, "quantile").coverage == pytest.approx(LEVELS, abs=0.01)
    assert abs(coverage_sums(draws**3, truth**3, (0.5,)).coverage[0] - 0.5) > 0.02  # no Gaussian


def test_between_whole_positions_quantiles_are_near():
    assert coverage_sums(*gaussian(32)[:2], LEVELS, "quantile").coverage == pytest.approx(LEVELS, abs=0.015)


def test_a_tame_sampler_covers_less_a_wild_one_more_a_collapsed_one_nothing():
    for kind, count in (("t", 8), ("quantile", 19)):
        assert max(np.subtract(coverage_sums(*gaussian(count, 0.5)[:2], LEVELS, kind).coverage, LEVELS)) < -0.15
        assert min(np.subtract(coverage_sums(*gaussian(count, 2)[:2], LEVELS, kind).coverage, LEVELS)) > 0.07
        assert max(coverage_sums(*collapsed(count), LEVELS, kind).coverage) < 0.001


def test_width_of_many_draws_is_that_of_the_gaussian():
    draws, truth, std = gaussian(200)
    exact = [2 * norm.ppf((1 + level) / 2) * std.mean() for level in LEVELS]
    for kind in ("t", "quantile"):
        assert coverage_sums(draws, truth, LEVELS, kind).width == pytest.approx(exact, rel=0.02)


def test_sums_pool_over_pictures():
    (a, x, _), (b, y, _) = gaussian(8), gaussian(8, 0.5, seed=1)
    together = coverage_sums(np.hstack([a, b]), np.hstack([x, y]), LEVELS)
    pooled = coverage_sums(a, x, LEVELS) + coverage_sums(b, y, LEVELS)
    assert (pooled.coverage, pooled.places) == (together.coverage, together.places)
    assert pooled.width == pytest.approx(together.width)
    with pytest.raises(InputError, match="equal levels"):
        coverage_sums(a, x, LEVELS) + coverage_sums(b, y, (0.5,))


@pytest.mark.parametrize("level, fewest", [(0.5, 3), (0.8, 9), (0.9, 19), (0.95, 39), (0.99, 199)])
def test_quantiles_of_too_few_draws_are_refused(level, fewest):
    assert fewest_draws(level) == fewest
    draws, truth, _ = gaussian(fewest)
    assert coverage_sums(draws, truth, (level,), "quantile").coverage[0] == pytest.approx(level, abs=0.01)
    words = f"quantiles of {fewest - 1} draws do not reach a level of {level}: ask for at least {fewest} samples"
    with pytest.raises(InputError, match=words):
        coverage_sums(draws[1:], truth, (level,), "quantile")


@pytest.mark.parametrize("kind", ["t", "quantile"])
def test_no_level(kind):
    for level in (0.0, 1.0, 80.0, float("nan")):
        with pytest.raises(InputError, match="no level of an interval"):
            coverage_sums(*gaussian(3)[:2], (level,), kind)
