import numpy as np
import pytest

from veriscale.guides.bound import block_sums, bound
from veriscale.metrics.bootstrap import ratio_interval


def places(seed: int, n: int = 4000, knows: float = 0.0) -> tuple[np.ndarray, ...]:
    """Weights, predictions, truth, estimate of three guides whose errors vary from place to place.

    `knows` is how much of that a gate is told; below 0 it is told the opposite.
    """
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    std = np.exp(rng.normal(size=(3, n)) * 0.7)
    f = x + std * rng.normal(size=(3, n))
    logits = -knows * np.log(std) + 0.3 * rng.normal(size=(3, n))
    w = np.exp(logits) / np.exp(logits).sum(0)
    return w, f, x, x + 0.2 * rng.normal(size=n)


def test_the_ambiguity_identity():
    """Σ w ℓ − ℓ(f̄) = Σ w (f_m − f̄)² at every place, to 1e-10."""
    w, f, x, d = places(0, n=400)
    for at in range(x.size):
        one = slice(at, at + 1)
        sums = block_sums(w[:, one].astype(np.float32), f[:, one], x[one], d[one])  # weights as networks give them
        assert sums.product - sums.mean_risk == pytest.approx(sums.ambiguity, rel=1e-10, abs=1e-10)
        assert sums.weight.sum() == pytest.approx(1, abs=1e-12)
    found = bound([block_sums(*places(seed)) for seed in range(5)])
    assert found.fused.estimate - found.mean_risk.estimate == pytest.approx(found.ambiguity.estimate, abs=1e-10)
    assert found.ambiguity.estimate > 0.1


def test_the_terms_add_up_to_the_bound():
    found = bound([block_sums(*places(seed, knows=1.0)) for seed in range(5)])
    expected = sum(a.estimate * b.estimate for a, b in zip(found.weight, found.loss, strict=True))
    assert found.fused.estimate == pytest.approx(expected + found.covariance.estimate, abs=1e-10)
    assert sum(w.estimate for w in found.weight) == pytest.approx(1)


def test_the_covariance_tells_a_gate_that_knows_from_one_that_does_not():
    knows, guesses, errs = (bound([block_sums(*places(s, knows=k)) for s in range(20)]) for k in (1.0, 0.0, -1.0))
    assert knows.covariance.high < 0
    assert guesses.covariance.low < 0 < guesses.covariance.high
    assert errs.covariance.low > 0
    assert knows.fused.estimate < guesses.fused.estimate < errs.fused.estimate
    w, f, x, d = places(0, knows=1.0)
    order = np.random.default_rng(1).permutation(x.size)
    assert abs(bound([block_sums(w[:, order], f, x, d)]).covariance.estimate) < 0.1 < -knows.covariance.estimate


def test_the_gap_is_the_estimators_risk_less_that_of_the_mean():
    blocks = [places(seed) for seed in range(4)]
    found = bound([block_sums(*block) for block in blocks])
    w, f, x, d = (np.concatenate(each, -1) for each in zip(*blocks, strict=True))
    assert found.gap.estimate == pytest.approx(((d - x) ** 2).mean() - (((w * f).sum(0) - x) ** 2).mean())


def test_intervals_are_over_blocks_of_any_size():
    blocks = [places(seed, n=500 + 400 * seed) for seed in range(6)]
    found = bound([block_sums(*block) for block in blocks])
    sums = [block_sums(*block) for block in blocks]
    assert found.fused == ratio_interval([b.product for b in sums], [b.places for b in sums])
    assert found.fused.low < found.fused.estimate < found.fused.high
    assert bound(sums[:1]).fused.high == np.inf
