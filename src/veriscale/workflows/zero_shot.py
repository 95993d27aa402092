"""Restoring any measurement with the unconditional prior."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from veriscale.diffusion.encoder import CENTRE
from veriscale.diffusion.noise_field import NoiseField, content_hash
from veriscale.diffusion.prior import Prior
from veriscale.diffusion.schedule import karras
from veriscale.imaging.colour import as_channels, premultiplied
from veriscale.imaging.photo import Photo
from veriscale.physics.data_term import DataTerm
from veriscale.physics.measurement_noise import ROUNDING, GaussianNoise, Noise, PoissonNoise
from veriscale.runtime.networks import UnconditionalDenoiser
from veriscale.traversal.anchor import Anchor, consistent_weight, fast, paper
from veriscale.traversal.dial import Dial
from veriscale.traversal.dps import dps
from veriscale.traversal.pilot import pilot
from veriscale.traversal.posterior import Covariance, Proximal
from veriscale.traversal.renoise import renoise, renoised, unit_noise
from veriscale.traversal.splitting import splitting_for
from veriscale.traversal.start import full_level, pilot_starts
from veriscale.workflows.conditional import Tell
from veriscale.workflows.plan import Plan


class ZeroShot:
    """Both stages by the unconditional denoiser and the operator.

    Attributes:
        anchor: (1, C, H, W).
        sigma_max: start of a full draw.
        fell_back: whether the anchor `fast` left its splitting.
    """

    def __init__(self, photo: Photo, prior: Prior, plan: Plan, tile: int, tell: Tell) -> None:
        channels = prior.card.network.channels
        samples = as_channels(premultiplied(photo.samples, photo.alpha), channels)
        y = torch.from_numpy(np.ascontiguousarray(samples.transpose(2, 0, 1), np.float32))[None]
        self.prior, self.plan, self.tell, self.done = prior, plan, tell, 0
        self.mode = prior.mode(0)
        self.sigma_max = full_level(plan.operator, tuple(y.shape[1:]), plan.posterior)
        self.data = DataTerm(plan.operator, y, _shared(plan.noise, channels // photo.channels))
        self.network = UnconditionalDenoiser(prior, tile)
        found = self._anchor(NoiseField(plan.seed, content_hash(photo.samples)))
        self.anchor, self.fell_back = found.x, bool(found.fell_back.any())

    def draw(self, fields: Sequence[tuple[NoiseField, int]], start: float) -> Tensor:
        """Draws from `start`, (B, C, H, W), one per field."""
        plan, mode = self.plan, self.mode
        data = DataTerm(self.data.operator, self.data.y.expand(len(fields), *self.data.y.shape[1:]), self.data.noise)
        if plan.posterior == "dps":
            x = renoised(self.anchor, start, fields)
            sigmas = karras(start, min(mode.sigma_min, start / 2), plan.steps)
            shape = self.anchor.shape[-3:]
            noise = partial(unit_noise, fields, "dps", shape=shape)
            return dps(self._pullback, data, x, sigmas, plan.preset.zeta, noise)
        if plan.posterior == "covariance":
            posterior: Callable[[Tensor, float], Tensor] = Covariance(self._pullback, data)
        else:
            posterior = Proximal(self._denoise, data, mode.sigma_data[0] ** 2)
        return renoise(
            self.anchor,
            posterior,
            start,
            sigma_min=mode.sigma_min,
            sampler=plan.sampler,
            steps=plan.steps,
            variance=lambda s: mode.variance_at(s, 0.0),
            fields=fields,
        )

    def dial(self, full: Sequence[Tensor], partial_draw: Callable[[float], Tensor]) -> Dial:
        """Learned from draws on this picture."""
        starts = pilot_starts(self.plan.operator, self.sigma_max) if self.plan.path == "renoise" else ()
        return pilot(self.anchor, full, partial_draw, starts, self.sigma_max)

    def _anchor(self, field: NoiseField) -> Anchor:
        plan, data = self.plan, self.data
        tell = partial(self.tell, "anchor")
        if plan.anchor == "fast":
            shape = data.operator.truth_shape(tuple(data.y.shape[1:]))
            mean = torch.full((1, *shape), CENTRE)
            way = splitting_for(data, shape, self.mode)
            return fast(self._denoise, data, way, mean, self.mode.sigma_data[0] ** 2, tell)
        preset = plan.preset
        weight = consistent_weight(data.noise_std, preset.sigma) if preset.weight is None else preset.weight
        shape = tuple(data.start().shape[1:])
        noise = partial(unit_noise, [(field, 0)], "anchor", shape=shape)
        return paper(
            self._denoise,
            data,
            iterations=preset.iterations,
            weight=weight,
            rate=preset.rate,
            sigma=preset.sigma,
            noise=noise,
            tell=tell,
        )

    def _denoise(self, x: Tensor, sigma: float) -> Tensor:
        out = self.network(x, sigma)
        self._count(x)
        return out

    def _pullback(self, x: Tensor, sigma: float) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        out = self.network.pullback(x, sigma)
        self._count(x)
        return out

    def _count(self, x: Tensor) -> None:
        self.done += len(x)
        self.tell("sample" if self.done > self.plan.anchor_evaluations else "anchor", self.done, self.plan.evaluations)


def _shared(noise: Noise, copies: int) -> Noise:
    """The noise of a grey measurement seen as `copies` equal channels, which together must not count as more data."""
    if copies > 1 and isinstance(noise, PoissonNoise):
        return PoissonNoise(noise.peak / copies)  # its variance times the number of copies
    if copies == 1 or not isinstance(noise, GaussianNoise):
        return noise
    return GaussianNoise(min(1.0, max(noise.std, ROUNDING) * copies**0.5))
