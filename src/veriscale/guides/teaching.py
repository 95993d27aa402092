"""What heads and gate learn from beside the prior's own loss."""

import torch
from torch import Tensor

from veriscale.guides.site import Injection

SURE = 1 - 1e-4  # the largest weight or amount whose logarithm is taken


def teaching_loss(injection: Injection, residual: Tensor, margin: int = 0) -> Tensor:
    """The mean of ℓ_m over valid guides, for heads, plus ℓ(f̄) with its predictions held, for the weights alone.

    ℓ is the squared error. Where errors of guides are independent and without bias, ℓ(f̄) is least for weights
    proportional to their inverse variances; Σ w_m ℓ_m would be least for the best guide alone.

    Args:
        injection: after its evaluation.
        residual: (B, C, H, W), the truth less what experts predict it from, in units of what is usual.
        margin: pixels by which the injection's pictures surround it.

    Source: ours, docs/methods.md#guides.
    """
    height, width = (n + 2 * margin for n in residual.shape[-2:])
    inside = (..., slice(margin, height - margin), slice(margin, width - margin))
    # Where features are mixed experts serve the estimator alone: those that had to serve heads too brought less.
    predictions = injection.predictions(held=injection.site.mix == "features")[inside]
    valid = injection.on_truth_grid(injection.valid)[inside][:, :, None].to(residual.dtype)
    errors = (predictions - residual[:, None]).square() * valid
    own = errors.sum() / (valid.sum() * residual.shape[1]).clamp(min=1)
    mean = (injection.on_truth_grid(injection.weights)[inside][:, :, None] * predictions.detach()).sum(1)
    anywhere = valid.amax(1)
    together = ((mean - residual).square() * anywhere).sum() / (anywhere.sum() * residual.shape[1]).clamp(min=1)
    return own + together


def shunning_loss(injection: Injection, spoilt: Tensor) -> Tensor:
    """What dynamic weights and amount learn of guides that are known to be spoilt.

    Weights: −ln(1 − w) of spoilt guides, the mean over all that have a sound one beside them. Amount: its cross-entropy
    with whether any guide is sound, the mean over all places with a guide.

    Args:
        injection: after its evaluation.
        spoilt: (B, M, H, W) bool.

    Source: ours, docs/methods.md#guides.
    """
    weights, amount, valid = map(injection.on_truth_grid, (injection.weights, injection.amount, injection.valid))
    sound = (valid & ~spoilt).any(1, keepdim=True)
    bad, known = spoilt & valid & sound, valid.any(1, keepdim=True)
    if injection.opened is not None:
        known = known & ~injection.opened.view(-1, 1, 1, 1)
    shunned = -torch.log1p(-weights.clamp(max=SURE))
    opened = -torch.where(sound, amount, 1 - amount).clamp(min=1 - SURE).log()
    return _mean(shunned, bad) + _mean(opened, known)


def _mean(t: Tensor, where: Tensor) -> Tensor:
    return (t * where).sum() / where.sum().clamp(min=1)
