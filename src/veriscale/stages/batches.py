"""Training items: crops, flips, degradations and noise, each keyed by (seed, phase, step, index)."""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from veriscale.errors import InputError
from veriscale.physics.downsample import downsample_interior
from veriscale.stages.recipe import Task


class Batch(NamedTuple):
    """Items of one scale.

    `margin` measurement pixels of `y` surround the truth on every side.
    """

    x: Tensor  # (B, C, H, W) truth
    y: Tensor  # (B, C, H / scale + 2·margin, …) measurement
    scale: int
    noise_std: Tensor  # (B,)
    unconditional: Tensor  # (B,) bool
    uniform: Tensor  # (B,) for the noise level of diffusion
    noise: Tensor  # (B, C, H, W) unit noise of diffusion


def key(*parts: object) -> int:
    """A seed for what these name: the same on every machine."""
    return int.from_bytes(hashlib.blake2b(repr(parts).encode(), digest_size=8).digest(), "big") >> 1


def quantise(y: Tensor) -> Tensor:
    """As an 8-bit file would hold it."""
    return (y.clamp(0, 1) * 255).round() / 255


class Batches:
    """Makes batches from pictures; the same for one process and for many."""

    def __init__(self, images: Sequence[Tensor], task: Task, seed: int) -> None:
        self.images = images
        self.task = task
        self.seed = seed
        areas = torch.tensor([float(i.shape[-1] * i.shape[-2]) for i in images], dtype=torch.float64)
        self.chance = torch.cumsum(areas / areas.sum(), 0)
        weights = torch.tensor(task.weights or [1.0] * len(task.scales), dtype=torch.float64)
        self.scale_chance = torch.cumsum(weights / weights.sum(), 0)

    def scale(self, phase: str, step: int) -> int:
        """All items of a step share one scale."""
        u = torch.rand((), dtype=torch.float64, generator=torch.Generator().manual_seed(key(self.seed, phase, step)))
        return self.task.scales[min(int(torch.searchsorted(self.scale_chance, u)), len(self.task.scales) - 1)]

    def make(
        self, phase: str, step: int, items: range, patch: int, margin: int = 0, unconditional: float | None = None
    ) -> Batch:
        """The items of one step.

        Args:
            phase: part of the key.
            step: part of the key.
            items: global indices within the step's batch; a process takes its share of them.
            patch: side of the truth in measurement pixels.
            margin: measurement pixels around it.
            unconditional: share of the items; the task's by default.
        """
        share = self.task.unconditional if unconditional is None else unconditional
        scale = self.scale(phase, step)
        side = (patch + 2 * margin + 4) * scale  # two more measurement pixels for the kernel
        device = self.images[0].device
        low, high = self.task.noise
        crops, stds, flags, uniforms, measured, diffused = [], [], [], [], [], []
        for i in items:
            g = torch.Generator().manual_seed(key(self.seed, phase, step, i))
            u = torch.rand(9, dtype=torch.float64, generator=g).tolist()
            image = self.images[min(int(torch.searchsorted(self.chance, u[0])), len(self.images) - 1)]
            room = [n - side for n in image.shape[-2:]]
            if min(room) < 0:
                raise InputError(f"A training picture of {image.shape[-1]}×{image.shape[-2]} is below {side}×{side}.")
            top, left = (int(v * (r + 1)) for v, r in zip(u[1:3], room, strict=True))
            crop = image[:, top : top + side, left : left + side]
            if u[3] < 0.5:
                crop = crop.flip(-1)
            if u[4] < 0.5:
                crop = crop.flip(-2)
            if u[5] < 0.5:
                crop = crop.transpose(-1, -2)
            crops.append(crop)
            std = 0.0 if u[6] < 0.5 else low + (high - low) * (2 * u[6] - 1)
            stds.append(std)
            flags.append(u[7] < share)
            uniforms.append(u[8])
            on_device = torch.Generator(device).manual_seed(key(self.seed, phase, step, i, "noise"))
            shape = (image.shape[0], patch + 2 * margin, patch + 2 * margin)
            measured.append(std * torch.randn(shape, generator=on_device, device=device))
            truth_shape = (image.shape[0], patch * scale, patch * scale)
            diffused.append(torch.randn(truth_shape, generator=on_device, device=device))
        whole = torch.stack(crops).float() / 255
        y = quantise(downsample_interior(whole, scale) + torch.stack(measured))
        cut = (margin + 2) * scale
        return Batch(
            x=F.pad(whole, [-cut] * 4),
            y=y,
            scale=scale,
            noise_std=torch.tensor(stds, device=device),
            unconditional=torch.tensor(flags, device=device),
            uniform=torch.tensor(uniforms, device=device),
            noise=torch.stack(diffused),
        )
