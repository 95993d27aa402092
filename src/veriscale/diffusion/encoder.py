"""From a measurement, in one pass, to its conditional mean and the features the denoiser sees."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

NOISE_UNIT = 0.05  # the noise map enters in units of the largest noise trained on
CENTRE, SPREAD = 0.5, 0.25  # of natural images in [0, 1], so that the trunk sees about unit variance


class Condition(NamedTuple):
    """What a measurement says of the truth, on the truth grid."""

    mean: Tensor  # (B, C, H, W), about E[x | y]
    features: Tensor  # (B, F, H, W)


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions without normalisation, as in EDSR (Lim et al. 2017)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, h: Tensor) -> Tensor:
        """(B, width, h, w) to the same."""
        out: Tensor = h + self.second(F.relu(self.first(h), inplace=True))
        return out


def residual_trunk(width: int, depth: int) -> nn.Sequential:
    """Blocks one after the other."""
    return nn.Sequential(*[ResidualBlock(width) for _ in range(depth)])


class Tail(nn.Module):
    """One scale's way from the trunk to the truth grid."""

    def __init__(self, width: int, channels: int, features: int, scale: int) -> None:
        super().__init__()
        self.scale = scale
        self.block = ResidualBlock(width)
        self.mean = nn.Conv2d(width, channels * scale**2, 3, padding=1)
        self.features = nn.Conv2d(width, features * scale**2, 3, padding=1)
        nn.init.zeros_(self.mean.weight)
        nn.init.zeros_(self.mean.bias)  # type: ignore[arg-type]  # a convolution with a bias

    def forward(self, h: Tensor, features: bool) -> tuple[Tensor, Tensor]:
        """(B, width, h, w) to the correction of the mean and the features, if they are asked for, on the truth grid."""
        h = self.block(h)
        mean = F.pixel_shuffle(self.mean(h), self.scale)
        return mean, F.pixel_shuffle(self.features(h), self.scale) if features else mean[:, :0]


class Encoder(nn.Module):
    """A residual trunk on the measurement's grid with a pixel-shuffle tail per scale (the shape of MDSR)."""

    def __init__(self, channels: int, scales: Sequence[int], width: int, depth: int, features: int) -> None:
        super().__init__()
        self.scales = tuple(scales)
        self.features = features
        self.heads = nn.ModuleDict({str(s): nn.Conv2d(channels + 1, width, 3, padding=1) for s in scales})
        self.trunk = residual_trunk(width, depth)
        self.tails = nn.ModuleDict({str(s): Tail(width, channels, features, s) for s in scales})

    def forward(
        self,
        y: Tensor,
        scale: int,
        noise_std: Tensor,
        features: bool = True,
    ) -> Condition:
        """Encode (B, C, h, w) measurements in [0, 1].

        Args:
            y: measurements, any floating type; the network runs in the type of its weights.
            scale: one of `scales`.
            noise_std: (B,) standard deviation of the measurement noise.
            features: whether they are wanted; there are none else.
        """
        noise = (noise_std / NOISE_UNIT).view(-1, 1, 1, 1).expand(-1, 1, *y.shape[-2:])
        h = torch.cat([(y - CENTRE) / SPREAD, noise.to(y.dtype)], 1)
        h = self.heads[str(scale)](h.to(self.dtype).contiguous(memory_format=torch.channels_last))
        correction, kept = self.tails[str(scale)](h + self.trunk(h), features)
        nearest = F.interpolate(y, scale_factor=scale, mode="nearest")
        return Condition(nearest + SPREAD * correction.to(y.dtype), kept)

    @property
    def dtype(self) -> torch.dtype:
        """The type of the weights."""
        return next(self.parameters()).dtype

    @property
    def receptive_radius(self) -> int:
        """How far, in measurement pixels, an output pixel can see."""
        return 2 * len(self.trunk) + 4
