"""All numbers of draws at once, over a mask, block by block; the fair CRPS by an external judge."""

import numpy as np
import pytest
from tests.metrics import posteriors
from tests.metrics.posteriors import PLACES, collapsed, gaussian

from veriscale.errors import InputError
from veriscale.metrics import draw_scores
from veriscale.metrics.draw_scores import draw_sums, interval_kind
from veriscale.metrics.uncertainty import crps_fair


@pytest.mark.parametrize("draws", [2, 3, 8, 32])
def test_the_exact_posterior_is_calibrated_in_every_number(draws):
    samples, truth, _ = gaussian(draws)
    of = draw_sums(list(samples), truth, 0).numbers()
    assert of["spread_skill"] == pytest.approx(1, abs=0.03)
    assert [of[f"coverage_{level}"] for level in (50, 80, 90)] == pytest.approx([0.5, 0.8, 0.9], abs=0.015)
    assert abs(of["rank_distance"]) < 0.003


def test_collapsed_tame_and_wild_samplers_are_flagged():
    exact, tame, wild, none = (
        draw_sums(list(samples), truth, 0).numbers()
        for samples, truth in (gaussian(8)[:2], gaussian(8, 0.5)[:2], gaussian(8, 2)[:2], collapsed(8))
    )
    assert none["spread_skill"] < 1e-6 < tame["spread_skill"] < 0.6 < 1.5 < wild["spread_skill"]
    assert none["coverage_80"] < 0.01 < tame["coverage_80"] < 0.6 < 0.9 < wild["coverage_80"]
    assert min(of["rank_distance"] for of in (none, tame, wild)) > 0.1
    assert exact["crps"] < min(of["crps"] for of in (none, tame, wild))


@pytest.mark.parametrize("draws", [2, 8, 19])
def test_crps_is_scoringrules(draws):
    judge = pytest.importorskip("scoringrules", reason="scoringrules is not installed")
    samples, truth, _ = gaussian(draws)
    theirs = np.mean(judge.crps_ensemble(truth, samples.T, estimator="fair"))
    assert crps_fair(samples, truth) == pytest.approx(theirs, rel=1e-9)
    assert draw_sums(list(samples), truth, 0).numbers()["crps"] == pytest.approx(theirs, rel=1e-9)


def test_intervals_are_quantiles_where_there_are_such():
    assert [interval_kind(n) for n in (2, 18, 19)] == ["t", "t", "quantile"]
    samples, truth, _ = gaussian(19)
    of = draw_sums(list(samples**3), truth**3, 0).numbers()
    assert of["coverage_50"] == pytest.approx(0.5, abs=0.01)  # t-intervals would say 0.55


def test_only_the_mask_counts_and_blocks_add_up(monkeypatch):
    samples, truth, _ = gaussian(8)
    shape = (200, PLACES // 400, 2)
    samples, truth = samples.reshape(8, *shape), truth.reshape(shape)
    mask = np.random.default_rng(0).uniform(size=shape) < 0.3
    inside = draw_sums(list(samples[:, mask]), truth[mask], 0).numbers()
    spoilt = np.where(mask, samples, np.nan)
    monkeypatch.setattr(draw_scores, "_BLOCK", 1000)
    found = draw_sums(list(spoilt), truth, 0, mask)
    assert found.coverage.places == mask.sum() == found.ranks.sum()
    assert found.numbers() == pytest.approx(inside)


def test_pictures_of_another_size_add_up():
    one, two = (gaussian(3, seed=seed)[:2] for seed in (0, 1))
    pooled = draw_sums(list(one[0]), one[1], 0) + draw_sums(list(two[0][:, :100]), two[1][:100], 0)
    assert pooled.coverage.places == posteriors.PLACES + 100
    assert pooled.numbers()["spread_skill"] == pytest.approx(1, abs=0.03)
    with pytest.raises(InputError, match="equally many draws, got 3 and 2"):
        pooled + draw_sums(list(one[0][:2]), one[1], 0)


def test_what_cannot_be_scored():
    samples, truth, _ = gaussian(2)
    with pytest.raises(InputError, match="the foreground is empty: no place counts"):
        draw_sums(list(samples), truth, 0, np.zeros(truth.shape, bool))
    with pytest.raises(InputError, match="at least two draws, got 1"):
        draw_sums(list(samples[:1]), truth, 0)
    for draws, mask in ((samples[:, 1:], None), (samples, np.ones(3, bool))):
        with pytest.raises(InputError, match="have the truth's shape"):
            draw_sums(list(draws), truth, 0, mask)


def test_a_temperature_scales_deviations_from_the_mean():
    rng = np.random.default_rng(0)
    draws, truth = list(rng.normal(0.5, 0.1, (4, 300))), rng.normal(0.5, 0.1, 300)
    middle = np.mean(draws, axis=0)
    by_hand = draw_sums([middle + 1.7 * (d - middle) for d in draws], truth, 0).numbers()
    assert draw_sums(draws, truth, 0, temperature=1.7).numbers() == pytest.approx(by_hand)
