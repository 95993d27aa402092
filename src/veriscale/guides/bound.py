"""The terms of the bound on the risk of fused guides, found from what experts, gate and estimator say."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from veriscale.metrics.bootstrap import Interval, statistic_interval

Array = NDArray[Any]


class BlockSums(NamedTuple):
    """Sums over the places of one block, the unit of resampling; of M guides, float64."""

    places: float
    weight: Array  # (M,) Σ w_m
    loss: Array  # (M,) Σ ℓ_m
    product: float  # Σ Σ_m w_m ℓ_m
    ambiguity: float  # Σ Σ_m w_m (f_m − f̄)²
    mean_risk: float  # Σ ℓ(f̄)
    risk: float  # Σ ℓ(D)


def block_sums(weights: Array, predictions: Array, truth: Array, estimate: Array) -> BlockSums:
    """Sum over the places of a block at which every guide is valid; ℓ is the squared error.

    Args:
        weights: (M, N) w_m, summing to 1 over M but for rounding, which is taken out.
        predictions: (M, N) f_m, of each guide alone.
        truth: (N,) x₀.
        estimate: (N,) D, what the guided prior says.
    """
    w, f, x, d = (np.asarray(each, np.float64) for each in (weights, predictions, truth, estimate))
    w = w / w.sum(0)
    losses = (f - x) ** 2
    mean = (w * f).sum(0)
    return BlockSums(
        places=float(x.size),
        weight=w.sum(1),
        loss=losses.sum(1),
        product=float((w * losses).sum()),
        ambiguity=float((w * (f - mean) ** 2).sum()),
        mean_risk=float(((mean - x) ** 2).sum()),
        risk=float(((d - x) ** 2).sum()),
    )


@dataclass(frozen=True)
class Bound:
    """The terms at one noise level: R(f̄) ≤ E Σ w_m ℓ_m = Σ E[w_m] E[ℓ_m] + Σ Cov(w_m, ℓ_m).

    Attributes:
        weight: E[w_m] of each guide.
        loss: E[ℓ_m] of each.
        covariance: Σ Cov(w_m, ℓ_m), negative where the gate knows who errs.
        fused: E Σ w_m ℓ_m, the bound.
        ambiguity: E Σ w_m (f_m − f̄)², by which R(f̄) is below it.
        mean_risk: R(f̄).
        gap: R(D) − R(f̄), since the bound is one on f̄ and not on the estimator D.

    Source: ours, docs/methods.md#guides.
    """

    weight: list[Interval]
    loss: list[Interval]
    covariance: Interval
    fused: Interval
    ambiguity: Interval
    mean_risk: Interval
    gap: Interval


def bound(blocks: Sequence[BlockSums], *, seed: int = 0) -> Bound:
    """The terms with 95 % bootstrap intervals over blocks, pooled over the places of all blocks.

    Args:
        blocks: at least one, all of the same guides at the same noise level.
        seed: of the resampling.
    """
    places, product, ambiguity, mean_risk, risk = (
        np.array([getattr(block, name) for block in blocks])
        for name in ("places", "product", "ambiguity", "mean_risk", "risk")
    )
    weight, loss = (list(np.stack([getattr(block, name) for block in blocks], 1)) for name in ("weight", "loss"))

    def of(statistic: Callable[..., Any], *columns: Array) -> Interval:
        return statistic_interval((places, *columns), statistic, seed=seed)

    def mean(n: Array, total: Array) -> Array:
        return total / n

    def covariance(n: Array, total: Array, *each: Array) -> Array:
        half = len(each) // 2
        return total / n - sum(a * b for a, b in zip(each[:half], each[half:], strict=True)) / n**2

    return Bound(
        weight=[of(mean, column) for column in weight],
        loss=[of(mean, column) for column in loss],
        covariance=of(covariance, product, *weight, *loss),
        fused=of(mean, product),
        ambiguity=of(mean, ambiguity),
        mean_risk=of(mean, mean_risk),
        gap=of(mean, risk - mean_risk),
    )
