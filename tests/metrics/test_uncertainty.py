"""A sampler of the true posterior scores 1; one that draws too tamely, or always the same, is seen."""

import math

import numpy as np
import pytest

from veriscale.errors import InputError
from veriscale.metrics.uncertainty import crps_fair, spread_skill, spread_sums

SHAPE = (64, 64, 3)


def posterior(draws, spread=1.0, seed=0):
    """A truth and draws that share its mean: spread = 1 is the exact posterior."""
    rng = np.random.default_rng(seed)
    mean = rng.uniform(size=SHAPE)
    truth = mean + 0.1 * rng.standard_normal(SHAPE)
    return mean + 0.1 * spread * rng.standard_normal((draws, *SHAPE)), truth


@pytest.mark.parametrize("draws", [2, 3, 8, 32])
def test_spread_skill_of_the_exact_posterior_is_one(draws):
    assert spread_skill(spread_sums(*posterior(draws))) == pytest.approx(1, abs=0.03)


def test_a_tame_sampler_and_a_collapsed_one_are_flagged():
    assert spread_skill(spread_sums(*posterior(8, spread=0.5))) < 0.6
    draws, truth = posterior(8)
    collapsed = np.repeat(draws[:1], 8, axis=0)
    assert spread_skill(spread_sums(collapsed, truth)) < 1e-6
    assert spread_skill(spread_sums(*posterior(8, spread=2))) > 1.5


def test_sums_pool_over_pictures():
    parts = [spread_sums(*posterior(8, seed=seed)) for seed in (0, 1)]
    draws, truths = zip(*(posterior(8, seed=seed) for seed in (0, 1)), strict=True)
    together = spread_sums(np.concatenate(draws, axis=1), np.concatenate(truths))
    assert spread_skill(parts[0] + parts[1]) == pytest.approx(spread_skill(together))


def test_an_exact_mean_has_no_finite_ratio():
    truth = np.full(SHAPE, 0.5)
    assert spread_skill(spread_sums(np.stack([truth - 0.25, truth + 0.25]), truth)) == math.inf


def test_crps_is_the_direct_formula():
    draws, truth = posterior(5)
    error = np.abs(draws - truth).mean(axis=0)
    pairs = np.abs(draws[:, None] - draws[None]).sum(axis=(0, 1)) / (2 * 5 * 4)
    assert crps_fair(draws, truth) == pytest.approx(np.mean(error - pairs), rel=1e-12)


def test_crps_of_the_exact_posterior_is_that_of_a_gaussian_at_any_number_of_draws():
    exact = 0.1 / math.sqrt(math.pi)
    for draws in (2, 4, 16):
        samples, truth = posterior(draws)
        assert crps_fair(samples, truth) == pytest.approx(exact, rel=0.03)
    samples, truth = posterior(2)
    unfair = np.abs(samples - truth).mean() - np.abs(samples[0] - samples[1]).mean() / 4
    assert unfair > 1.2 * exact


def test_crps_prefers_the_exact_posterior():
    exact = crps_fair(*posterior(16))
    assert exact < 0.97 * min(crps_fair(*posterior(16, spread=spread)) for spread in (0.4, 2.0))


def test_too_few_draws_or_other_shapes_are_refused():
    draws, truth = posterior(2)
    for number in (spread_sums, crps_fair):
        with pytest.raises(InputError, match="at least two draws, got 1"):
            number(draws[:1], truth)
        with pytest.raises(InputError, match="same height"):
            number(draws, truth[1:])
    with pytest.raises(InputError, match="equally many draws, got 2 and 3"):
        spread_sums(draws, truth) + spread_sums(*posterior(3))
