"""What a card holds of a finished prior, measured on held-out pictures: v(sigma), how draws vary, the dial tables."""

from collections.abc import Callable, Mapping
from functools import reduce
from operator import add

import msgspec
import numpy as np
import torch
from torch import Tensor

from veriscale.diffusion.card import Calm, DialTable, Mode
from veriscale.diffusion.encoder import Condition
from veriscale.diffusion.noise_field import NoiseField
from veriscale.diffusion.prior import Prior, TrainedPrior
from veriscale.metrics.fine_energy import fine_sums
from veriscale.metrics.perception import sliced_w2
from veriscale.runtime.networks import ConditionalDenoiser, UnconditionalDenoiser, predict_square
from veriscale.stages.data import PictureSet
from veriscale.stages.held_out import CROP, crops, held_out
from veriscale.traversal.calm import calmed, find_calm, fit_calm
from veriscale.traversal.renoise import renoise

LEVELS = 12  # noise levels at which v is measured
STARTS = (1.0, 2.0, 3.0, 4.0, 5.0, 6.5, 8.0)  # of the dial table in units of sigma_data
RATIOS = (1.0, 0.98, 0.97, 0.96, 0.95, 0.94, 0.93, 0.92, 0.91)
TOLERANCE = 0.02
FLAT = 1.15  # fine energy of flat blocks over the truth's, at most, if it can be had
DIAL_CROP = 128  # truth pixels: a table takes over a hundred evaluations


def measure_level_ratio(prior: TrainedPrior, photographs: PictureSet, sampler: str, steps: int) -> list[Mode]:
    """The prior's modes with the level ratio that makes draws as varied as their look allows.

    Draws of a denoiser that errs vary too little; one that is told a slightly lower level than there is leaves more in,
    in flat places too, where there is nothing to leave. Of the `RATIOS` whose sliced W2 to the truth lies within
    `TOLERANCE` of the least, the lowest is taken whose draws have at most `FLAT` times the truth's fine energy where
    the truth is flat, or the calmest if there is none. Draws are calmed first, as in use.

    Source: ours, docs/methods.md#level-ratio; after the shifted time steps of Li et al. 2024.
    """
    measured = []
    for mode in prior.card.modes:
        if mode.scale == 0:
            measured.append(mode)
            continue
        noise_std = mode.noise_std[0]
        x, condition = held_out(prior.encoder, photographs, mode.scale, noise_std, DIAL_CROP)
        found = {}
        for ratio in RATIOS:
            draws = draws_of(prior, photographs, condition, mode, noise_std, sampler, steps, ratio)
            calm = _fitted(prior, condition, draws, x, mode.scale, noise_std)
            found[ratio] = _look(calmed_draws(prior, condition, draws, calm), x)
        measured.append(msgspec.structs.replace(mode, level_ratio=choose_ratio(found)))
    return measured


def choose_ratio(found: Mapping[float, tuple[float, float]]) -> float:
    """The level ratio of `measure_level_ratio`, of ratio → (sliced W2, fine energy of flat blocks over the truth's)."""
    bound = (1 + TOLERANCE) * min(sliced for sliced, _ in found.values())
    near = {ratio: flat for ratio, (sliced, flat) in found.items() if sliced <= bound}
    calm = [ratio for ratio, flat in near.items() if flat <= FLAT]
    return min(calm) if calm else min(near, key=lambda ratio: near[ratio])


def measure_calm(prior: TrainedPrior, photographs: PictureSet, sampler: str, steps: int) -> list[Calm]:
    """By how much draws are shrunk where the anchor hardly errs, per scale and measurement noise."""
    if prior.predictor is None:
        return []
    measured = []
    for mode in prior.card.modes:
        for noise_std in (mode.noise_std[0], mode.noise_std[-1]) if mode.scale else ():
            x, condition = held_out(prior.encoder, photographs, mode.scale, noise_std, DIAL_CROP)
            draws = draws_of(prior, photographs, condition, mode, noise_std, sampler, steps, mode.level_ratio)
            square = predict_square(prior, condition, mode.scale)
            measured.append(fit_calm(condition.mean, draws, x, square, mode.scale, noise_std))
    return measured


def measure_variance(prior: TrainedPrior, photographs: PictureSet) -> list[Mode]:
    """The prior's modes with v(sigma) = E|D - x0|² per pixel at `LEVELS` noise levels."""
    measured = [unconditional_variance(prior, crops(photographs, CROP))]
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
    prior: TrainedPrior, photographs: PictureSet, sampler: str, steps: int, tell: Callable[[str], None]
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
    prior: TrainedPrior, photographs: PictureSet, mode: Mode, noise_std: float, sampler: str, steps: int
) -> DialTable:
    x, condition = held_out(prior.encoder, photographs, mode.scale, noise_std, DIAL_CROP)
    denoise = ConditionalDenoiser(prior, condition, mode.scale, noise_std)
    anchor = condition.mean
    spread = mode.sigma_data_at(noise_std)
    starts = [s * spread for s in STARTS if s * spread < mode.sigma_max] + [mode.sigma_max]
    fields = [(NoiseField(0, name), 0) for name in photographs.names]
    errors = [float((anchor - x).double().square().mean())]
    draw, calm = anchor, find_calm(prior.card, mode.scale, noise_std)
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
        draw = calmed_draws(prior, condition, draw, calm)
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


def draws_of(
    prior: TrainedPrior,
    photographs: PictureSet,
    condition: Condition,
    mode: Mode,
    noise_std: float,
    sampler: str,
    steps: int,
    ratio: float,
    number: int = 0,
) -> Tensor:
    """A full draw of every held-out picture by a denoiser with a level ratio: that of a number, 0 being the first."""
    denoise = ConditionalDenoiser(prior, condition, mode.scale, noise_std)
    denoise.level_ratio = ratio
    return renoise(
        condition.mean,
        denoise,
        mode.sigma_max,
        sigma_min=mode.sigma_min,
        sampler=sampler,
        steps=steps,
        variance=lambda s: 0.0,
        fields=[(NoiseField(0, name), number) for name in photographs.names],
    )


def _fitted(
    prior: TrainedPrior, condition: Condition, draws: Tensor, x: Tensor, scale: int, noise_std: float
) -> Calm | None:
    if prior.predictor is None:
        return None
    return fit_calm(condition.mean, draws, x, predict_square(prior, condition, scale), scale, noise_std)


def calmed_draws(prior: TrainedPrior, condition: Condition, draws: Tensor, calm: Calm | None) -> Tensor:
    """Draws as they are delivered, (N, C, H, W): shrunk where the card of the prior says so."""
    if calm is None:
        return draws
    return calmed(condition.mean, draws, predict_square(prior, condition, calm.scale), calm)


def _look(draws: Tensor, x: Tensor) -> tuple[float, float]:
    """Sliced W2 to the truths, and the fine energy of flat blocks over theirs; 1 where no block is flat."""
    images, truths = (list(t.permute(0, 2, 3, 1).numpy()) for t in (draws, x))
    flat = reduce(add, (fine_sums(image, truth)[0] for image, truth in zip(images, truths, strict=True)))
    return float(sliced_w2(images, truths).mean()), flat.ratio if flat.truth else 1.0


def _error(denoise: Callable[[Tensor, float], Tensor], x: Tensor, sigma: float) -> float:
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    return float((denoise(x + sigma * noise, sigma) - x).double().square().mean())


def unconditional_variance(prior: Prior, x: Tensor) -> Mode:
    """The unconditional mode with v(sigma), measured on pictures x, (N, C, H, W)."""
    mode = prior.mode(0)
    sigmas = np.geomspace(2 * mode.sigma_min, mode.sigma_max, LEVELS).tolist()
    denoise = UnconditionalDenoiser(prior)
    return msgspec.structs.replace(mode, sigma=sigmas, variance=[[_error(denoise, x, s) for s in sigmas]])
