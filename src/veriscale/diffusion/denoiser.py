"""The light network that every sampling step runs: a U-Net on the pixel-unshuffled truth grid."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Embedding(nn.Module):
    """Noise level, mode and measurement noise as one vector."""

    def __init__(self, modes: int, width: int) -> None:
        super().__init__()
        self.frequencies: Tensor
        self.register_buffer("frequencies", torch.exp(torch.linspace(0, math.log(64), width // 4)), persistent=False)
        self.level = nn.Linear(width // 2, width)
        self.mode = nn.Embedding(modes, width)
        self.noise_std = nn.Linear(1, width, bias=False)
        self.out = nn.Linear(width, width)

    def forward(self, c_noise: Tensor, mode: Tensor, noise_std: Tensor) -> Tensor:
        """(B,) each to (B, width)."""
        angles = c_noise.float()[:, None] * self.frequencies
        waves = torch.cat([angles.cos(), angles.sin()], 1).to(self.level.weight.dtype)
        relative = (noise_std / 0.05).to(waves.dtype)[:, None]
        return F.silu(self.out(F.silu(self.level(waves) + self.mode(mode) + self.noise_std(relative))))


class Block(nn.Module):
    """RMS normalisation, scale and shift by the embedding, two 3×3 convolutions; the second starts at zero."""

    def __init__(self, width: int, embedding: int) -> None:
        super().__init__()
        self.modulation = nn.Linear(embedding, 2 * width)
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        for layer in (self.modulation, self.second):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]  # both have a bias

    def forward(self, h: Tensor, embedding: Tensor) -> Tensor:
        """(B, width, h, w) and (B, embedding) to (B, width, h, w)."""
        scale, shift = self.modulation(embedding)[:, :, None, None].chunk(2, 1)
        # Per pixel, over channels: what a tile does not see cannot change it.
        inverse = h.shape[1] ** 0.5 / (torch.linalg.vector_norm(h, dim=1, keepdim=True).to(h.dtype) + 1e-3)
        u = torch.addcmul(shift, h * inverse, 1 + scale)
        out: Tensor = h + self.second(F.silu(self.first(u), inplace=True))
        return out


class Level(nn.Module):
    """The blocks of one resolution, on the way down or up."""

    def __init__(self, width: int, depth: int, embedding: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([Block(width, embedding) for _ in range(depth)])

    def forward(self, h: Tensor, embedding: Tensor) -> Tensor:
        """Through all blocks."""
        for block in self.blocks:
            h = block(h, embedding)
        return h


class Denoiser(nn.Module):
    """F of the preconditioning: a U-Net with additive skips.

    Args:
        channels: of the image.
        features: channels of the condition's features.
        modes: the unconditional mode and one per scale.
        width: channels per level, finest first, multiples of 32.
        depth: blocks per level, the same on both ways.
        stem: factor of the pixel-unshuffling before the first level.
    """

    def __init__(
        self, channels: int, features: int, modes: int, width: Sequence[int], depth: Sequence[int], stem: int
    ) -> None:
        super().__init__()
        self.stem = stem
        self.seen = channels + features
        self.depth = tuple(depth)
        self.stride: int = stem * 2 ** (len(width) - 1)
        embedding = 2 * width[0]
        self.embedding = Embedding(modes, embedding)
        self.into = nn.Conv2d((2 * channels + features) * stem**2, width[0], 3, padding=1)
        self.down = nn.ModuleList([Level(w, d, embedding) for w, d in zip(width, depth, strict=True)])
        self.up = nn.ModuleList([Level(w, d, embedding) for w, d in zip(width, depth, strict=True)])
        pairs = list(pairwise(width))
        self.shrink = nn.ModuleList([nn.Conv2d(a, b, 2, stride=2) for a, b in pairs])
        self.grow = nn.ModuleList([nn.Conv2d(b, 4 * a, 1) for a, b in pairs])
        self.out = nn.Conv2d(width[0], channels * stem**2, 3, padding=1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)  # type: ignore[arg-type]  # a convolution with a bias

    def forward(
        self,
        x: Tensor,
        condition: Tensor,
        c_noise: Tensor,
        mode: Tensor,
        noise_std: Tensor,
        correct: Callable[[Tensor, Tensor, Tensor], Tensor] | None = None,
    ) -> Tensor:
        """The raw network on (B, C, H, W), H and W multiples of `stride`.

        Args:
            x: the scaled noisy residual.
            condition: (B, C + features, H, W), the scaled mean and the features; zeros when unconditional.
            c_noise: (B,) of `preconditioning.scalings`.
            mode: (B,) integers, 0 unconditional.
            noise_std: (B,) of the measurement.
            correct: (h, embedding, c_noise) to what is added to the answer, of the last feature h, (B, width, h, w), to
                (B, C · stem², h, w).
        """
        dtype = self.into.weight.dtype
        h = F.pixel_unshuffle(torch.cat([x.to(dtype), condition.to(dtype)], 1), self.stem)
        h = self.into(h.contiguous(memory_format=torch.channels_last))
        e = self.embedding(c_noise, mode, noise_std)
        skips = []
        for level, shrink in zip(self.down[:-1], self.shrink, strict=True):
            h = level(h, e)
            skips.append(h)
            h = shrink(h)
        h = self.down[-1](h, e)
        for i in reversed(range(len(self.up))):
            if i < len(skips):
                h = skips[i] + F.pixel_shuffle(self.grow[i](h), 2)
            h = self.up[i](h, e)
        out = self.out(h) if correct is None else self.out(h) + correct(h, e, c_noise)
        return F.pixel_shuffle(out, self.stem)

    @property
    def receptive_radius(self) -> int:
        """How far, in truth pixels, an output pixel can see: a multiple of `stride`."""
        reach: int = 2 * self.stem  # the first and the last convolution
        for i, depth in enumerate(self.depth):
            reach += (4 * depth + 1) * self.stem << i
        return math.ceil(reach / self.stride) * self.stride
