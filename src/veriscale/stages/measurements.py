"""What a card holds of a finished prior, measured on held-out pictures: v(sigma) and the dial tables."""

from collections.abc import Callable

import msgspec
import numpy as np
import torch
from torch import Tensor

from veriscale.diffusion.card import DialTable, Mode
from veriscale.diffusion.noise_field import NoiseField
from veriscale.diffusion.prior import Prior
from veriscale.metrics.perception import sliced_w2
from veriscale.runtime.networks import ConditionalDenoiser, UnconditionalDenoiser
from veriscale.stages.data import Photographs
from veriscale.stages.held_out import CROP, centre_crop, held_out
from veriscale.traversal.renoise import renoise

LEVELS = 12  # noise levels at which v is measured
STARTS = (1.0, 2.0, 3.0, 4.0, 5.0, 6.5, 8.0)  # of the dial table in units of sigma_data
RATIOS = (1.0, 0.98, 0.97, 0.96, 0.95, 0.94, 0.93, 0.92, 0.91)
TOLERANCE = 0.02
DIAL_CROP = 128  # truth pixels: a table takes over a hundred evaluations


def measure_level_ratio(prior: Prior, photographs: Photographs, sampler: str, steps: int) -> list[Mode]:
    """The prior's modes with the level ratio that makes draws as varied as their look allows.

    Draws of a denoiser that errs vary too little; one that is told a slightly lower level than there is leaves more in.
    Of `RATIOS`, the lowest is taken whose sliced W2 to the truth lies within `TOLERANCE` of the least.

    Source: ours, docs/methods.md#level-ratio; after the shifted time steps of Li et al. 2024.
    """
    measured = []
    for mode in prior.card.modes:
        if mode.scale == 0:
            measured.append(mode)
            continue
        x, condition = held_out(prior.encoder, photographs, mode.scale, mode.noise_std[0], DIAL_CROP)
        denoise = ConditionalDenoiser(prior, condition, mode.scale, mode.noise_std[0])
        truths = list(x.permute(0, 2, 3, 1).numpy())
        distances = {}
        for ratio in RATIOS:
            denoise.level_ratio = ratio
            draws = renoise(
                condition.mean,
                denoise,
                mode.sigma_max,
                sigma_min=mode.sigma_min,
                sampler=sampler,
                steps=steps,
                variance=lambda s: 0.0,
                fields=[(NoiseField(0, name), 0) for name in photographs.names],
            )
            distances[ratio] = float(sliced_w2(draws.permute(0, 2, 3, 1).numpy(), truths).mean())
        bound = (1 + TOLERANCE) * min(distances.values())
        chosen = min(r for r, d in distances.items() if d <= bound)
        measured.append(msgspec.structs.replace(mode, level_ratio=chosen))
    return measured


def measure_variance(prior: Prior, photographs: Photographs) -> list[Mode]:
    """The prior's modes with v(sigma) = E|D - x0|² per pixel at `LEVELS` noise levels."""
    measured = [_unconditional_variance(prior, photographs)]
    for mode in prior.card.modes:
        if mode.scale == 0:
            continue
        sigmas = np.geomspace(2 * mode.sigma_min, mode.sigma_max, LEVELS).tolist()
        rows = []
        for noise_std in mode.noise_std:
            x, condition = held_out(prior.encoder, photographs, mode.scale, noise_std)
            denoise = ConditionalDenoiser(prior, condition, mode.scale, noise_std)
            rows.append([_error(denoise, x, sigma) for sigma in sigmas])
        measured.append(msgspec.structs.replace(mode, sigma=sigmas, variance=rows))
    return measured


def measure_dial(
    prior: Prior, photographs: Photographs, sampler: str, steps: int, tell: Callable[[str], None]
) -> list[DialTable]:
    """The share of extra distortion over the start of the second stage, per scale and measurement noise."""
    tables = []
    for mode in prior.card.modes:
        if mode.scale == 0:
            continue
        for noise_std in (mode.noise_std[0], mode.noise_std[-1]):
            tell(f"dial table: scale {mode.scale}, noise {noise_std:g}")
            tables.append(_dial_table(prior, photographs, mode, noise_std, sampler, steps))
    return tables


def _dial_table(
    prior: Prior, photographs: Photographs, mode: Mode, noise_std: float, sampler: str, steps: int
) -> DialTable:
    x, condition = held_out(prior.encoder, photographs, mode.scale, noise_std, DIAL_CROP)
    denoise = ConditionalDenoiser(prior, condition, mode.scale, noise_std)
    anchor = condition.mean
    spread = mode.sigma_data_at(noise_std)
    starts = [s * spread for s in STARTS if s * spread < mode.sigma_max] + [mode.sigma_max]
    fields = [(NoiseField(0, name), 0) for name in photographs.names]
    errors = [float((anchor - x).double().square().mean())]
    draw = anchor
    for start in starts:
        draw = renoise(
            anchor,
            denoise,
            start,
            sigma_min=mode.sigma_min,
            sampler=sampler,
            steps=steps,
            variance=lambda s: mode.variance_at(s, noise_std),
            fields=fields,
        )
        errors.append(float((draw - x).double().square().mean()))
    step, miss = (draw - anchor).double(), (x - anchor).double()
    share = np.maximum.accumulate((np.array(errors) - errors[0]) / (errors[-1] - errors[0])).clip(0, 1)
    return DialTable(
        scale=mode.scale,
        noise_std=noise_std,
        sampler=sampler,
        steps=steps,
        sigma_0=[0.0, *starts],
        fraction=share.tolist(),
        mse=errors,
        kappa=float((step * miss).mean() / step.square().mean()),
    )


def _error(denoise: Callable[[Tensor, float], Tensor], x: Tensor, sigma: float) -> float:
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    return float((denoise(x + sigma * noise, sigma) - x).double().square().mean())


def _unconditional_variance(prior: Prior, photographs: Photographs) -> Mode:
    mode = prior.mode(0)
    x = torch.stack([centre_crop(i, CROP).float().cpu() / 255 for i in photographs.images])
    sigmas = np.geomspace(2 * mode.sigma_min, mode.sigma_max, LEVELS).tolist()
    denoise = UnconditionalDenoiser(prior)
    return msgspec.structs.replace(mode, sigma=sigmas, variance=[[_error(denoise, x, s) for s in sigmas]])
