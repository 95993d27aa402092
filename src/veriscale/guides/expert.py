"""What one modality says, on a grid of a few pixels, and what it alone would predict."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from veriscale.diffusion.encoder import CENTRE, SPREAD, residual_trunk


def unit(h: Tensor) -> Tensor:
    """(B, C, h, w) over its RMS over channels, per pixel as in `denoiser.Block`, so that tiles are exact."""
    norm = torch.linalg.vector_norm(h, dim=1, keepdim=True).to(h.dtype)
    out: Tensor = h * (h.shape[1] ** 0.5 / (norm + 1e-3))
    return out


class Expert(nn.Module):
    """A residual trunk over the unshuffled pixels of a guide and of their validity.

    Args:
        stride: factor from the truth grid to its own.
        width: channels of its feature.
        depth: residual blocks.
    """

    def __init__(self, stride: int, width: int, depth: int) -> None:
        super().__init__()
        self.stride = stride
        self.entry = nn.Conv2d(2 * stride**2, width, 3, padding=1)
        self.trunk = residual_trunk(width, depth)

    def forward(self, guide: Tensor, valid: Tensor) -> Tensor:
        """(B, width, H / stride, W / stride), RMS 1 over channels; nothing under an invalid pixel matters, not NaN.

        Args:
            guide: (B, 1, H, W) in [0, 1].
            valid: the same shape, bool.
        """
        dtype = next(self.parameters()).dtype
        known = torch.where(valid, (guide - CENTRE) / SPREAD, 0)  # not a product: 0 · NaN is NaN
        seen = F.pixel_unshuffle(torch.cat([known.to(dtype), valid.to(dtype)], 1), self.stride)
        h = self.entry(seen.contiguous(memory_format=torch.channels_last))
        return unit(h + self.trunk(h))


class Experts(nn.Module):
    """Those of all modalities, whose features every place takes where guides come in.

    Args:
        stride: factor from the truth grid to theirs.
        width: channels of a feature.
        depth: residual blocks of each.
        modalities: how many there are.
    """

    def __init__(self, stride: int, width: int, depth: int, modalities: int) -> None:
        super().__init__()
        self.stride, self.width, self.depth = stride, width, depth
        self.each = nn.ModuleList([Expert(stride, width, depth) for _ in range(modalities)])

    def forward(self, guides: Tensor, valid: Tensor, given: list[bool]) -> list[Tensor]:
        """(B, M, H, W) in [0, 1], and where they are valid, to M features (B, width, H / stride, W / stride).

        Those that are not given are 0 and take no time, but in training, where every process needs all gradients.
        """
        b, _, *sides = guides.shape
        nothing = guides.new_zeros(b, self.width, *(n // self.stride for n in sides), dtype=self.dtype)
        asked = [self.training or there for there in given]
        return [
            expert(guides[:, m, None], valid[:, m, None]) if ask else nothing
            for m, (expert, ask) in enumerate(zip(self.each, asked, strict=True))
        ]

    @property
    def dtype(self) -> torch.dtype:
        """The type of the weights."""
        return next(self.parameters()).dtype

    @property
    def reach(self) -> int:
        """How far, in pixels of the truth, a feature sees."""
        return self.stride * (2 * self.depth + 1)


class Head(nn.Module):
    """From an expert's feature to its own prediction of the truth's residual, in units of what is usual.

    Args:
        stride: as of the expert.
        width: of the expert's feature.
        channels: of the truth.
        embedding: width of what tells noise level and mode; 0 where there is none.
    """

    def __init__(self, stride: int, width: int, channels: int, embedding: int) -> None:
        super().__init__()
        self.told = nn.Linear(embedding, 2 * width) if embedding else None
        self.stride = stride
        self.out = nn.Conv2d(width, channels * stride**2, 3, padding=1)

    def forward(self, feature: Tensor, embedding: Tensor | None) -> Tensor:
        """(B, width, h, w) and (B, embedding) to (B, channels, H, W)."""
        if self.told is not None:
            scale, shift = self.told(embedding)[:, :, None, None].chunk(2, 1)
            feature = torch.addcmul(shift, feature, 1 + scale)
        return F.pixel_shuffle(self.out(F.silu(feature)), self.stride)
