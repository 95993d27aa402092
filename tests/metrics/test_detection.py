import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from veriscale.metrics.detection import area_under_roc


def scored(seed, ties):
    rng = np.random.default_rng(seed)
    bad = rng.random((13, 17)) < 0.3
    score = rng.normal(bad, 1.5)
    return score.round(1) if ties else score, bad


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_it_is_the_share_of_pairs_in_order(seed, ties):
    score, bad = scored(seed, ties)
    above = score[bad][:, None] - score[~bad]
    pairs = (above > 0).mean() + (above == 0).mean() / 2
    assert area_under_roc(score, bad) == pytest.approx(pairs, abs=1e-12)
    judge = mannwhitneyu(score[bad], score[~bad]).statistic / (bad.sum() * (~bad).sum())
    assert area_under_roc(score, bad) == pytest.approx(judge, abs=1e-12)
    assert ties == ((above == 0).any())


def test_the_ends_and_the_middle():
    bad = np.array([True, False, True, False])
    assert area_under_roc(np.where(bad, 2.0, 1.0), bad) == 1
    assert area_under_roc(np.where(bad, 1.0, 2.0), bad) == 0
    assert area_under_roc(np.ones(4), bad) == 0.5


def test_only_the_order_counts():
    score, bad = scored(0, ties=True)
    assert area_under_roc(np.exp(score), bad) == area_under_roc(score, bad)
    assert area_under_roc(-score, bad) == pytest.approx(1 - area_under_roc(score, bad), abs=1e-12)
