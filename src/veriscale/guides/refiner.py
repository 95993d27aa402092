"""Where guides help the encoder: a network on a fine grid that corrects what the frozen one says."""

import torch
import torch.nn.functional as F
from torch import nn

from veriscale.diffusion.encoder import CENTRE, SPREAD, Condition, residual_trunk
from veriscale.guides.arguments import GuideArguments
from veriscale.guides.site import Injection, Site

STRIDE = 2  # from the truth grid to its own
POOL = 2


class Refiner(nn.Module):
    """Mean and features, seen on a grid of 2 × 2 pixels; guides come in, residual blocks, and a correction of both.

    Args:
        arguments: sizes and choices.
        channels: of the truth.
        features: of the encoder's condition.
    """

    def __init__(self, arguments: GuideArguments, channels: int, features: int) -> None:
        super().__init__()
        width, count = arguments.width, (channels + features) * STRIDE**2
        self.site = Site(arguments, STRIDE, POOL, width, channels)
        looked_at = arguments.mix == "features" or arguments.fusion == "dynamic"
        self.entry = nn.Conv2d(count, width, 3, padding=1) if looked_at else nn.Identity()
        if arguments.mix == "features":
            self.site.project.reset_parameters()  # the correction begins at zero already
            self.trunk = residual_trunk(width, arguments.blocks)
            self.out = nn.Conv2d(width, count, 3, padding=1)
            nn.init.zeros_(self.out.weight)
            nn.init.zeros_(self.out.bias)  # type: ignore[arg-type]  # a convolution with a bias

    def forward(self, condition: Condition, injection: Injection) -> Condition:
        """(B, C, H, W) and (B, F, H, W) to the same; where the amount is 0 they are what they were."""
        mean, features = condition
        seen = torch.cat([(mean - CENTRE) / SPREAD, features.to(mean.dtype)], 1).to(next(self.parameters()).dtype)
        seen = F.pixel_unshuffle(F.pad(seen, injection.edges, mode="replicate"), STRIDE)
        h = self.entry(seen.contiguous(memory_format=torch.channels_last))
        injection.weigh(h)
        if self.site.mix == "predictions":
            # (1 − a)·m + a·Σ w_m·(m + s·r_m), since an expert predicts how the truth differs from m
            correction = injection.on_truth_grid(injection.amount) * injection.mixed()
            return Condition(mean + SPREAD * correction, features)
        h = self.trunk(h + injection.fused())
        correction = F.pixel_shuffle(self.out(h), STRIDE)[injection.inside]
        correction = injection.on_truth_grid(injection.amount) * correction.to(mean.dtype)
        channels = mean.shape[1]
        return Condition(
            mean + SPREAD * correction[:, :channels], features + correction[:, channels:].to(features.dtype)
        )

    @property
    def reach(self) -> int:
        """How far, in pixels of the truth, its correction sees."""
        return STRIDE * (self.site.reach + 2 * (len(self.trunk) if self.site.mix == "features" else 0) + 1)
