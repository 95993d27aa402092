"""What a guided prior says of a picture at a noise level, taken apart: weights, amount, each guide's own prediction."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from veriscale.diffusion.encoder import SPREAD, Condition
from veriscale.diffusion.prior import denoiser_input
from veriscale.guides.guided_prior import GuidedPrior
from veriscale.guides.networks import guided_condition, guided_denoise
from veriscale.guides.site import Injection


class Answer(NamedTuple):
    """Of one picture, on the truth grid, float32 on the CPU."""

    weights: Tensor  # (M, H, W), w_m
    amount: Tensor  # (H, W), a
    valid: Tensor  # (M, H, W), bool: where a guide counts
    predictions: Tensor  # (M, C, H, W), f_m of the truth
    estimate: Tensor  # (C, H, W), D

    def known(self, which: Sequence[int]) -> Tensor:
        """(H, W), where each of some modalities counts."""
        return self.valid[list(which)].all(0)


@torch.inference_mode()
def encoder_answer(prior: GuidedPrior, y: Tensor, scale: int, noise_std: float) -> tuple[Answer, Condition]:
    """Of the mean, where σ = ∞; with the condition that the denoiser sees.

    Args:
        prior: with guides of this picture, (1, M, H, W).
        y: (1, C, H / scale, W / scale), the measurement; H and W multiples of the prior's stride.
        scale: one the prior knows.
        noise_std: of the measurement.
    """
    y = y.to(prior.device)
    std = torch.tensor([noise_std], device=prior.device)
    injection = prior.injected(prior.guides.encoder.site)
    unguided = prior.encoder(y, scale, std, True)
    condition = guided_condition(prior.guides.encoder, injection, unguided)
    return _answer(injection, unguided.mean, SPREAD, condition.mean), condition


@torch.inference_mode()
def correction_answer(prior: GuidedPrior, x: Tensor) -> Answer:
    """Of an estimate from thick slices that guides correct: `Prior.corrected`, where σ = ∞ too.

    Args:
        prior: with guides of this picture, (1, M, H, W), that have learnt it.
        x: (1, C, H, W), the estimate; H and W multiples of the prior's stride.
    """
    x = x.to(prior.device)
    return _answer(prior.injected(prior.guides.encoder.site), x, SPREAD, prior.corrected(x))


@torch.inference_mode()
def denoiser_answer(
    prior: GuidedPrior, x: Tensor, sigma: float, condition: Condition | None, scale: int, noise_std: float
) -> Answer:
    """Of a noisy picture.

    Args:
        prior: with guides of this picture, (1, M, H, W).
        x: (1, C, H, W), the truth or a result with noise of std sigma.
        sigma: the noise level.
        condition: of `encoder_answer`; None of the unconditional mode.
        scale: of the measurement, 0 of the unconditional mode.
        noise_std: of the measurement.
    """
    x, mode = x.to(prior.device), prior.mode(scale)
    if condition is None:
        mean = torch.full_like(x, prior.card.mean)
        seen, sigma_data, told = prior.unconditional_input(x), mode.sigma_data[0], sigma
    else:
        mean, seen = condition.mean.float(), denoiser_input(condition)
        sigma_data, told = mode.sigma_data_at(noise_std), sigma * mode.level_ratio

    def one(value: float) -> Tensor:
        return torch.full((1,), value, device=x.device)

    injection = prior.injected(prior.guides.denoiser.site)
    index = torch.full((1,), prior.mode_index(scale), device=x.device)
    std = one(noise_std if condition is not None else 0.0)
    levels = one(told), one(sigma_data)
    denoised = guided_denoise(prior.denoiser, prior.guides.denoiser, injection, x - mean, *levels, seen, index, std)
    return _answer(injection, mean, sigma_data, mean + denoised)


def _answer(injection: Injection, about: Tensor, unit: float, estimate: Tensor) -> Answer:
    on = injection.on_truth_grid
    parts = on(injection.weights), on(injection.amount)[:, 0], on(injection.valid.float()) > 0
    predictions = about.float()[:, None] + unit * injection.predictions()
    return Answer(*(part[0].cpu() for part in (*parts, predictions, estimate.float())))
