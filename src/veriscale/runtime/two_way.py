"""A denoiser of pictures over a volume: along both directions that cross its slices, at every evaluation."""

from collections.abc import Callable
from functools import partial
from typing import Protocol, Self

import torch
from torch import Tensor

PIXELS = 1 << 18  # of the pictures that are denoised together


class PlacedDenoiser(Protocol):
    """A denoiser that may hold what belongs to places of the picture."""

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        """(x, sigma) -> E[x0 | x]."""

    def rearranged(self, how: Callable[[Tensor], Tensor]) -> Self:
        """That of pictures that `how` makes of those it is for, (B, C, …) to (B', C, …)."""


class TwoWayDenoiser:
    """(x, sigma) -> about E[x0 | x] of a volume: the mean of two answers, by the pictures across either in-plane axis.

    Both hold the axis along which slices are thick. What is averaged is the answers, at every noise level: the mean of
    two finished draws would have too little spread.

    Args:
        denoise: of pictures, (B, C, H, W); what it holds is of the volume, (1, …, X, Y, Z).
        axis: spatial axis along which slices are thick: 0, 1 or 2.

    Source: docs/methods.md#in-plane-and-through-the-plane; after Lee et al. 2023 (TPDM), who alternate two priors.
    """

    def __init__(self, denoise: PlacedDenoiser, axis: int) -> None:
        self.denoise, self.axis = denoise, axis
        self.across = [2 + k for k in range(3) if k != axis]

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        """(B, C, X, Y, Z) in and out."""
        out = torch.zeros_like(x)
        for axis in self.across:
            together = max(1, PIXELS * x.shape[axis] // x[0, 0].numel())
            for first in range(0, x.shape[axis], together):
                part = slice(first, first + together)
                denoise = self.denoise.rearranged(partial(pictures_of, axis=axis, part=part))
                for item, into in zip(x.movedim(axis, 1), out.movedim(axis, 1), strict=True):
                    into[part] += denoise(item[part].contiguous(), sigma) / 2
        return out

    def rearranged(self, how: Callable[[Tensor], Tensor]) -> "TwoWayDenoiser":
        """That of volumes that `how` makes, which has to leave the axes where they are."""
        return TwoWayDenoiser(self.denoise.rearranged(how), self.axis)


def pictures_of(volume: Tensor, axis: int, part: slice) -> Tensor:
    """(1, C, X, Y, Z) as those (n, C, H, W) of its pictures across an axis, 2 to 4, that are of a part."""
    return volume.movedim(axis, 1)[0, part]
