"""Restoring a measurement that the prior's encoder knows."""

from collections.abc import Callable, Sequence
from functools import cached_property, partial

import numpy as np
import torch
from torch import Tensor

from veriscale.diffusion.noise_field import NoiseField
from veriscale.diffusion.prior import Prior
from veriscale.imaging.colour import as_channels, premultiplied
from veriscale.imaging.photo import Photo
from veriscale.runtime.networks import ConditionalDenoiser, encode, padding, predict_error, predict_square
from veriscale.traversal.calm import calmed, find_calm
from veriscale.traversal.dial import Dial, find_table
from veriscale.traversal.renoise import renoise
from veriscale.workflows.plan import Plan

Tell = Callable[[str, int, int], None]


class Conditional:
    """Both stages by one pass of the encoder and the conditional denoiser.

    Attributes:
        anchor: (1, C, H, W), with sides continued to the denoiser's stride.
        sigma_max: start of a full draw.
        fell_back: never.
    """

    fell_back = False

    def __init__(self, photo: Photo, prior: Prior, plan: Plan, tile: int, tell: Tell) -> None:
        scale = plan.scale or 1
        samples = as_channels(premultiplied(photo.samples, photo.alpha), prior.card.network.channels)
        rows, columns = padding(prior, photo.height, photo.width, scale)
        if rows or columns:
            samples = np.pad(samples, ((0, rows), (0, columns), (0, 0)), mode="symmetric")
        y = torch.from_numpy(np.ascontiguousarray(samples.transpose(2, 0, 1), np.float32))[None]
        condition = encode(
            prior, y, scale, plan.noise_std, features=plan.features, tile=tile, tell=partial(tell, "encode")
        )
        self.prior, self.plan, self.condition, self.tile = prior, plan, condition, tile
        self.mode = prior.mode(scale)
        self.anchor = condition.mean
        self.sigma_max = self.mode.sigma_max
        self.denoise = ConditionalDenoiser(prior, condition, scale, plan.noise_std, tile)
        self.tell, self.done = tell, 0

    def draw(self, fields: Sequence[tuple[NoiseField, int]], start: float) -> Tensor:
        """Draws from `start`, (B, C, H, W), one per field."""
        x = renoise(
            self.anchor,
            self._counted,
            start,
            sigma_min=self.mode.sigma_min,
            sampler=self.plan.sampler,
            steps=self.plan.steps,
            variance=lambda s: self.mode.variance_at(s, self.plan.noise_std),
            fields=fields,
        )
        calm = find_calm(self.prior.card, self.plan.scale or 1, self.plan.noise_std)
        return x if calm is None else calmed(self.anchor, x, self._square, calm)

    def dial(self, full: Sequence[Tensor], partial_draw: Callable[[float], Tensor]) -> Dial:
        """The table on the prior's card."""
        p = self.plan
        return find_table(self.prior.card, p.scale or 1, p.noise_std, p.sampler, p.steps)

    def predicted_error(self, threshold: Tensor) -> Tensor:
        """The logit of P(|x − anchor| > threshold | y), (1, H, W) for a threshold per pixel."""
        return predict_error(self.prior, self.condition, self.plan.scale or 1, threshold, self.tile)

    @cached_property
    def _square(self) -> Tensor:
        return predict_square(self.prior, self.condition, self.plan.scale or 1, self.tile)

    def _counted(self, x: Tensor, sigma: float) -> Tensor:
        out = self.denoise(x, sigma)
        self.done += len(x)
        self.tell("sample", self.done, self.plan.evaluations)
        return out
