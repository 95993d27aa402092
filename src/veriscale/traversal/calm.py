"""Draws that are calm where the world is calm: their step from the anchor, shrunk to what the anchor errs.

A denoiser that is told a lower level leaves more in everywhere; the error predictor knows where there is nothing left.
"""

import torch
from torch import Tensor

from veriscale.diffusion.card import Calm, Card

BINS = 12


def find_calm(card: Card, scale: int, noise_std: float) -> Calm | None:
    """What the card measured for a scale, at the noise nearest to `noise_std`; None where it has nothing."""
    fitting = [c for c in card.calm if c.scale == scale]
    return min(fitting, key=lambda c: abs(c.noise_std - noise_std)) if fitting else None


def calmed(anchor: Tensor, x: Tensor, square: Tensor, calm: Calm) -> Tensor:
    """anchor + b(u)·(x − anchor), with u the expected squared error of the anchor, pixel by pixel.

    Args:
        anchor: (1, C, H, W) or one per item.
        x: (B, C, H, W), draws.
        square: (1, H, W) or one per item: u.
        calm: b over log u, straight lines between its knots and level beyond them.

    Source: ours, docs/methods.md#calm-draws.
    """
    knots, factor = (torch.tensor(v, dtype=square.dtype) for v in (calm.log_square, calm.factor))
    u = square.log()
    i = torch.searchsorted(knots, u.contiguous()).clamp(1, len(knots) - 1)
    share = ((u - knots[i - 1]) / (knots[i] - knots[i - 1])).clamp(0, 1)
    b = torch.lerp(factor[i - 1], factor[i], share)
    return anchor + b[:, None] * (x - anchor)


def fit_calm(anchor: Tensor, draws: Tensor, truth: Tensor, square: Tensor, scale: int, noise_std: float) -> Calm:
    """b² = E(truth − anchor)²/E(draw − anchor)², at most 1, in `BINS` bins of u with equally many pixels.

    Args:
        anchor, draws, truth: (N, C, H, W).
        square: (N, H, W): u.
        scale, noise_std: of the measurement.
    """
    order = square.flatten().argsort()
    u = square.flatten().double().log()[order]
    miss, step = ((t - anchor).square().mean(1).flatten().double()[order] for t in (truth, draws))
    at, factor = [], []
    for part in torch.arange(len(order)).tensor_split(BINS):
        at.append(float(u[part].mean()))
        factor.append(min(1.0, float((miss[part].mean() / step[part].mean()).sqrt())))
    return Calm(scale=scale, noise_std=noise_std, log_square=at, factor=factor)
