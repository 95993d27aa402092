"""A denoiser of pictures over a volume: along both directions that cross its slices, at every evaluation."""

import torch
from torch import Tensor

from veriscale.diffusion.samplers import Denoiser

PIXELS = 1 << 18  # of the pictures that are denoised together


class TwoWayDenoiser:
    """(x, sigma) -> about E[x0 | x] of a volume: the mean of two answers, by the pictures across either in-plane axis.

    Both hold the axis along which slices are thick. What is averaged is the answers, at every noise level: the mean of
    two finished draws would have too little spread.

    Args:
        denoise: of pictures, (B, C, H, W).
        axis: spatial axis along which slices are thick: 0, 1 or 2.

    Source: docs/methods.md#in-plane-and-through-the-plane; after Lee et al. 2023 (TPDM), who alternate two priors.
    """

    def __init__(self, denoise: Denoiser, axis: int) -> None:
        self.denoise = denoise
        self.across = [2 + k for k in range(3) if k != axis]

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        """(B, C, X, Y, Z) in and out."""
        out = torch.zeros_like(x)
        for axis in self.across:
            pictures, into = x.movedim(axis, 1), out.movedim(axis, 1)  # (B, n, C, H, W)
            together = max(1, PIXELS // pictures[0, 0, 0].numel())
            for item in range(len(x)):
                for first in range(0, pictures.shape[1], together):
                    part = slice(first, first + together)
                    into[item, part] += self.denoise(pictures[item, part].contiguous(), sigma) / 2
        return out
