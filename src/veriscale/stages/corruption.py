"""Ways to spoil a guide, so that the gate learns whom not to trust."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

HARM, NEAR = 0.02, 4  # of a guide's levels, by which a pixel differs, and pixels to such a one: there it is spoilt
Corruption = Callable[[Tensor, Tensor, float, torch.Generator], Tensor]
"""(guide, another slice of it, strength in [0, 1), generator on the CPU) -> spoilt; pictures are (H, W) in [0, 1]."""


def blur(guide: Tensor, other: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """By a Gaussian with a std of 1 to 5 pixels."""
    std = 1 + 4 * strength
    radius = math.ceil(3 * std)
    taps = torch.exp(-(torch.arange(-radius, radius + 1, device=guide.device) ** 2) / (2 * std**2))
    taps = taps / taps.sum()
    wide = F.pad(guide[None, None], [radius] * 4, mode="replicate")
    return F.conv2d(F.conv2d(wide, taps.view(1, 1, -1, 1)), taps.view(1, 1, 1, -1))[0, 0]


def shift(guide: Tensor, other: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """By 2 to 6 pixels in any direction, to whole ones."""
    angle = 2 * math.pi * float(torch.rand((), generator=generator))
    length = 2 + 4 * strength
    by = round(length * math.sin(angle)), round(length * math.cos(angle))
    rows, columns = (
        (torch.arange(n, device=guide.device) - k).clamp(0, n - 1) for n, k in zip(guide.shape, by, strict=True)
    )
    return guide[rows[:, None], columns]


def swap(guide: Tensor, other: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """For another slice."""
    return other


def noise(guide: Tensor, other: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """White, with a std of 0.05 to 0.3."""
    return guide + (0.05 + 0.25 * strength) * torch.randn(guide.shape, generator=generator).to(guide.device)


def blank(guide: Tensor, other: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Nothing is left, and nobody says so."""
    return torch.zeros_like(guide)


CORRUPTIONS: dict[str, Corruption] = {"blur": blur, "shift": shift, "swap": swap, "noise": noise, "blank": blank}


def corrupted(guide: Tensor, other: Tensor, generator: torch.Generator) -> Tensor:
    """A guide one region of which is spoilt in one of the ways of `CORRUPTIONS`, all drawn.

    The region is a rectangle with sides of a quarter to three quarters of the guide's; one in four is all of it.

    Args:
        guide: (H, W) in [0, 1].
        other: the same crop of another slice.
        generator: on the CPU.

    Source: ours, docs/methods.md#guides.
    """
    which, strength, whole, *u = torch.rand(7, dtype=torch.float64, generator=generator).tolist()
    spoil = list(CORRUPTIONS.values())[int(which * len(CORRUPTIONS))]
    spoilt = spoil(guide, other, strength, generator)
    if whole < 0.25:
        return spoilt
    sides = [max(1, round(n * (0.25 + 0.5 * v))) for n, v in zip(guide.shape, u[:2], strict=True)]
    top, left = (int(v * (n - side + 1)) for n, side, v in zip(guide.shape, sides, u[2:], strict=True))
    out = guide.clone()
    region = slice(top, top + sides[0]), slice(left, left + sides[1])
    out[region] = spoilt[region]
    return out


def harm(guide: Tensor, spoilt: Tensor) -> Tensor:
    """(H, W) bool: where a guide is spoilt in what it shows: not in air, which stays the same."""
    differs = ((spoilt - guide).abs() > HARM).float()
    near: Tensor = F.max_pool2d(differs[None, None], 2 * NEAR + 1, 1, NEAR)[0, 0] > 0
    return near
