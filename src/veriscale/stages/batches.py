"""Training items: crops, flips, degradations and noise, each keyed by (seed, phase, step, index)."""

import hashlib
from collections import Counter
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from veriscale.errors import InputError
from veriscale.physics.downsample import downsample_interior
from veriscale.stages.border import continued
from veriscale.stages.data import PictureSet
from veriscale.stages.recipe import Task

REACH = 2
"""Measurement pixels beyond a patch and its margin, for the operator's kernel."""


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
    guides: Tensor | None = None  # (B, M, H + 2·margin·scale, …) of the modalities, NaN where not valid
    spoilt: Tensor | None = None  # as guides, bool: not what it was before it was spoilt
    estimate: Tensor | None = None  # as guides, (B, C, …): in the place of the encoder's mean; NaN of other items
    opened: Tensor | None = None  # (B,) bool: with guides, items of which the denoiser's amount is 1


def key(*parts: object) -> int:
    """A seed for what these name: the same on every machine."""
    return int.from_bytes(hashlib.blake2b(repr(parts).encode(), digest_size=8).digest(), "big") >> 1


def quantise(y: Tensor) -> Tensor:
    """As an 8-bit file would hold it."""
    return (y.clamp(0, 1) * 255).round() / 255


def chances(data: PictureSet) -> list[float]:
    """How often each image is drawn, as weights.

    Photographs by their area; slices so that subjects have equal shares, and so have a subject's volumes, and a
    volume's slices: who was scanned in more slices or contrasts weighs no more for it.
    """
    if data.stored:
        return [float(i.shape[-1] * i.shape[-2]) for i in data.images]
    owner = dict(zip(data.volumes, data.subjects, strict=True))
    volumes, slices = Counter(owner.values()), Counter(data.volumes)
    return [1 / (volumes[s] * slices[v]) for s, v in zip(data.subjects, data.volumes, strict=True)]


class Batches:
    """Makes batches from photographs, or slices of scans; the same for one process and for many."""

    def __init__(self, data: PictureSet, task: Task, seed: int) -> None:
        self.data = data
        self.task = task
        self.seed = seed
        share = torch.tensor(chances(data), dtype=torch.float64)
        self.chance = torch.cumsum(share / share.sum(), 0)
        weights = torch.tensor(task.weights or [1.0] * len(task.scales), dtype=torch.float64)
        self.scale_chance = torch.cumsum(weights / weights.sum(), 0)

    def scale(self, phase: str, step: int) -> int:
        """All items of a step share one scale."""
        u = torch.rand((), dtype=torch.float64, generator=torch.Generator().manual_seed(key(self.seed, phase, step)))
        return self.task.scales[min(int(torch.searchsorted(self.scale_chance, u)), len(self.task.scales) - 1)]

    def item(self, phase: str, step: int, i: int) -> tuple[int, list[float]]:
        """The picture of an item, and nine numbers in [0, 1): which, where, how turned, its noise, mode and level."""
        g = torch.Generator().manual_seed(key(self.seed, phase, step, i))
        u = torch.rand(9, dtype=torch.float64, generator=g).tolist()
        return min(int(torch.searchsorted(self.chance, u[0])), len(self.data.images) - 1), u

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

        Raises:
            InputError: an image is too small: a photograph for patch, margin and the kernel's reach, a slice, which is
                continued beyond its edge, for the patch.
        """
        share = self.task.unconditional if unconditional is None else unconditional
        scale = self.scale(phase, step)
        context = (margin + REACH) * scale
        device = self.data.images[0].device
        low, high = self.task.noise
        crops, stds, flags, uniforms, measured, diffused = [], [], [], [], [], []
        for i in items:
            index, u = self.item(phase, step, i)
            image = self.data.images[index]
            crops.append(turned(self._crop(index, u[1:3], patch * scale, context, scale, phase), u))
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
        y = downsample_interior(whole, scale) + torch.stack(measured)
        return Batch(
            x=F.pad(whole, [-context] * 4),
            y=quantise(y) if self.data.stored else y,
            scale=scale,
            noise_std=torch.tensor(stds, device=device),
            unconditional=torch.tensor(flags, device=device),
            uniform=torch.tensor(uniforms, device=device),
            noise=torch.stack(diffused),
        )

    def _crop(self, index: int, place: list[float], side: int, context: int, scale: int, phase: str) -> Tensor:
        """A patch of an image with what surrounds it."""
        image = self.data.images[index]
        around = context if self.data.stored else 0
        room = [n - side - 2 * around for n in image.shape[-2:]]
        if min(room) < 0:
            raise too_small(self.data, index, side + 2 * around, phase)
        top, left = (int(v * (r + 1)) for v, r in zip(place, room, strict=True))
        if not self.data.stored:
            return continued(image, top, left, side, context, scale)
        return image[:, top : top + side + 2 * around, left : left + side + 2 * around]


def turned(crop: Tensor, u: list[float]) -> Tensor:
    """A crop (C, H, W) flipped and transposed as the numbers of its item say."""
    if u[3] < 0.5:
        crop = crop.flip(-1)
    if u[4] < 0.5:
        crop = crop.flip(-2)
    return crop.transpose(-1, -2) if u[5] < 0.5 else crop


def too_small(data: PictureSet, index: int, side: int, phase: str) -> InputError:
    """The error of a picture that does not hold a patch of a phase, whose side is in truth pixels.

    Of a photograph that is the side with what surrounds the patch.
    """
    height, width = data.images[index].shape[-2:]
    kind, around, others = "Slice", "", "scans"
    if data.stored:
        kind, around, others = "Photograph", " with its surroundings", "pictures"
    return InputError(
        f"{kind} {data.names[index]} is {width}×{height}, and a patch of {phase} is {side}×{side} of its pixels"
        f"{around}; set a smaller stage.{phase}.patch, or leave such {others} out."
    )
