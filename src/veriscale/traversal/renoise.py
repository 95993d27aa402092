"""The second stage: re-noise the anchor and let a posterior sampler bring it back."""

from collections.abc import Sequence

import torch
from torch import Tensor

from veriscale.diffusion.noise_field import NoiseField
from veriscale.diffusion.samplers import Denoiser, Variance, sample
from veriscale.diffusion.schedule import karras

SAMPLER, STEPS = "dpm-solver++", 8  # chosen by docs/results/photo_steps.json


def renoise(
    anchor: Tensor,
    denoise: Denoiser,
    sigma_0: float,
    *,
    sigma_min: float,
    sampler: str,
    steps: int,
    variance: Variance,
    fields: Sequence[tuple[NoiseField, int]],
) -> Tensor:
    """Pictures at dial positions above 0.

    Args:
        anchor: (1, C, H, W) or one per item of the batch; of a volume (1, C, X, Y, Z).
        denoise: the posterior denoiser, (x, sigma) -> E[x0 | x, y].
        sigma_0: noise level of the start.
        sigma_min: the last level before 0.
        sampler: name in `samplers.SAMPLERS`.
        steps: from sigma_0 to 0.
        variance: v(sigma) for `ancestral`.
        fields: for each item its noise and the number of its draw.

    Returns:
        (B, C, H, W), one item per field.

    Source: MAP-RPS (arXiv 2605.28711), stage 2.
    """
    x = renoised(anchor, sigma_0, fields)
    # Levels below sigma_min are left out: from there one step to 0 is within a fraction of an 8-bit step.
    sigmas = karras(sigma_0, min(sigma_min, sigma_0 / 2), steps)
    return sample(
        sampler, denoise, x, sigmas, variance, lambda step: unit_noise(fields, sampler, step, anchor.shape[1:])
    )


def renoised(anchor: Tensor, sigma_0: float, fields: Sequence[tuple[NoiseField, int]]) -> Tensor:
    """The start of the second stage: the anchor and noise of level sigma_0, (B, C, H, W)."""
    return anchor + sigma_0 * unit_noise(fields, "renoise", 0, anchor.shape[1:])


def unit_noise(fields: Sequence[tuple[NoiseField, int]], stage: str, step: int, shape: Sequence[int]) -> Tensor:
    """Unit noise of whole pictures (C, H, W) or volumes (C, X, Y, Z), one item per field: (B, *shape)."""
    if len(shape) == 4:
        channels, planes, *plane = shape
        parts = [unit_noise(fields, f"{stage}, plane {i}", step, (channels, *plane)) for i in range(planes)]
        return torch.stack(parts, 2)
    channels, height, width = shape
    return torch.stack([f.window(stage, k, step, 0, 0, height, width, channels) for f, k in fields])
