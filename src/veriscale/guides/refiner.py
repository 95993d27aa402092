"""What guides make of what a frozen network has found: a correction, by a network on a grid of a few pixels."""

import torch
from torch import Tensor, nn

from veriscale.diffusion.encoder import residual_trunk
from veriscale.guides.arguments import GuideArguments
from veriscale.guides.expert import unit
from veriscale.guides.site import Injection, Site


class Refiner(nn.Module):
    """The frozen network's features; guides come in, residual blocks, and a correction.

    Args:
        arguments: sizes and choices.
        stride, pool, channels, embedding: as of `Site`.
        seen: channels of the frozen network's features.
        added: channels of the correction.
        blocks: residual blocks.
    """

    def __init__(
        self,
        arguments: GuideArguments,
        stride: int,
        pool: int,
        channels: int,
        seen: int,
        added: int,
        blocks: int,
        embedding: int = 0,
    ) -> None:
        super().__init__()
        width = arguments.width
        self.site = Site(arguments, stride, pool, width, channels, embedding)
        looked_at = arguments.mix == "features" or arguments.fusion == "dynamic"
        self.entry = nn.Conv2d(seen, width, 3, padding=1) if looked_at else nn.Identity()
        self.told = nn.Linear(embedding, 2 * width) if embedding and looked_at else None
        if arguments.mix == "features":
            self.trunk = residual_trunk(width, blocks)
            self.out = nn.Conv2d(width, added, 3, padding=1)
            nn.init.zeros_(self.out.weight)
            nn.init.zeros_(self.out.bias)  # type: ignore[arg-type]  # a convolution with a bias

    def forward(
        self,
        seen: Tensor,
        injection: Injection,
        embedding: Tensor | None = None,
        c_noise: Tensor | None = None,
        found: Tensor | None = None,
    ) -> Tensor | None:
        """(B, seen, h, w) to (B, added, h, w), 0 where the amount is; to nothing where predictions are mixed.

        Args:
            seen: features on the grid of `Site`, padded as the injection.
            injection: of the guides; it keeps weights and amount.
            embedding, c_noise, found: as of `Injection.weigh`.
        """
        h = self.weigh(seen, injection, embedding, c_noise, found)
        if self.site.mix == "predictions":
            return None
        out: Tensor = self.out(self.trunk(h + injection.fused()))
        return injection.on_own_grid(injection.amount).to(out.dtype) * out

    def weigh(
        self,
        seen: Tensor,
        injection: Injection,
        embedding: Tensor | None = None,
        c_noise: Tensor | None = None,
        found: Tensor | None = None,
    ) -> Tensor:
        """The feature (B, width, h, w) that guides come in at, once the injection has found weights and amount by it.

        Arguments as of `forward`.
        """
        h: Tensor = self.entry(seen.contiguous(memory_format=torch.channels_last))
        if self.told is not None:
            scale, shift = self.told(embedding)[:, :, None, None].chunk(2, 1)
            h = torch.addcmul(shift, unit(h), 1 + scale)
        injection.weigh(h, embedding, c_noise, found)
        return h

    @property
    def reach(self) -> int:
        """How far, in pixels of the truth, its correction sees, of what it is given and of experts' features."""
        blocks = len(self.trunk) if self.site.mix == "features" else 0
        return self.site.stride * (self.site.reach + 2 * blocks + 2)
