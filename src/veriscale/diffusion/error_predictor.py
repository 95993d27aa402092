"""How likely the conditional mean is off: a small head that reads the condition the encoder made."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from veriscale.diffusion.encoder import CENTRE, SPREAD, Condition, residual_trunk

# Errors in [0, 1] units, the greatest over channels: the head knows how likely each is exceeded.
THRESHOLDS = (0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.45)
SQUARE_AT = (0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.45, 0.7)  # θ of `expected_square`


class ErrorPredictor(nn.Module):
    """A residual trunk on the measurement's grid over the unshuffled condition, with an entry and an exit per scale.

    It gives the logits of P(max over channels |x − mean| > threshold | y) for every threshold. Ours:
    docs/methods.md#scores.
    """

    def __init__(self, channels: int, features: int, scales: Sequence[int], width: int, depth: int) -> None:
        super().__init__()
        into, self.features = channels + features, features
        out = len(THRESHOLDS)
        self.entries = nn.ModuleDict({str(s): nn.Conv2d(into * s**2, width, 3, padding=1) for s in scales})
        self.trunk = residual_trunk(width, depth)
        self.exits = nn.ModuleDict({str(s): _zero(nn.Conv2d(width, out * s**2, 3, padding=1)) for s in scales})

    def forward(self, condition: Condition, scale: int) -> Tensor:
        """Of a condition on the truth grid, (B, thresholds, H, W) logits, in the type of the weights.

        Of its features those that the encoder makes, which come first.
        """
        mean = (condition.mean - CENTRE) / SPREAD
        seen = torch.cat([mean, condition.features[:, : self.features].to(mean.dtype)], 1)
        h = F.pixel_unshuffle(seen, scale).to(self.dtype).contiguous(memory_format=torch.channels_last)
        h = self.entries[str(scale)](h)
        return F.pixel_shuffle(self.exits[str(scale)](h + self.trunk(h)), scale)

    @property
    def dtype(self) -> torch.dtype:
        """The type of the weights."""
        return next(self.parameters()).dtype

    @property
    def receptive_radius(self) -> int:
        """How far, in measurement pixels, an output pixel can see."""
        return 2 * len(self.trunk) + 2


def _zero(convolution: nn.Conv2d) -> nn.Conv2d:
    nn.init.zeros_(convolution.weight)
    return convolution


def exceedance(logits: Tensor, threshold: Tensor | float) -> Tensor:
    """P(|error| > threshold) from a predictor's logits, linear in between them, as a logit.

    Args:
        logits: (B, thresholds, H, W) at `THRESHOLDS`; made non-increasing along them first.
        threshold: a number, or one per pixel (B, H, W); below the lowest and above the highest the outermost slope
            goes on, so that a threshold below zero is exceeded for certain only in the limit.

    Returns:
        (B, H, W), the logit.
    """
    falling = logits.cummin(1).values
    knots = torch.tensor(THRESHOLDS, dtype=logits.dtype, device=logits.device)
    at = torch.as_tensor(threshold, dtype=logits.dtype, device=logits.device).expand(
        logits.shape[:1] + logits.shape[2:]
    )
    i = torch.searchsorted(knots, at.contiguous()).clamp(1, len(knots) - 1)
    low, high = (falling.gather(1, k[:, None])[:, 0] for k in (i - 1, i))
    return low + (high - low) * (at - knots[i - 1]) / (knots[i] - knots[i - 1])


def expected_square(logits: Tensor) -> Tensor:
    """E[e² | y] = ∫ 2θ P(e > θ) dθ by trapezoids in θ², (B, H, W), from a predictor's logits; e is at most 1.

    Source: ours, docs/methods.md#calm-draws.
    """
    at = [0.0, *SQUARE_AT, 1.0]
    ends = [torch.ones_like(logits[:, 0]), torch.zeros_like(logits[:, 0])]
    p = [ends[0], *(exceedance(logits, theta).sigmoid() for theta in SQUARE_AT), ends[1]]
    total = torch.zeros_like(ends[0])
    for k in range(len(at) - 1):
        total += (p[k] + p[k + 1]) / 2 * (at[k + 1] ** 2 - at[k] ** 2)
    return total
