"""What the parts of a prior are trained for."""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from veriscale.diffusion.card import MEAN
from veriscale.diffusion.denoiser import Denoiser
from veriscale.diffusion.encoder import SPREAD, Condition, Encoder
from veriscale.diffusion.error_predictor import THRESHOLDS, ErrorPredictor
from veriscale.diffusion.prior import denoise_residual, denoiser_input
from veriscale.stages.batches import Batch

# Location and width of ln(sigma / sigma_data) in training, conditional and unconditional: five sixths of the latter lie
# at sigma 0.01 to 0.5, where measurements have their noise and anchors their last levels.
DENSITY = {True: (0.0, 1.2), False: (-1.3, 1.4)}
LOWEST = 0.002  # half an 8-bit step: nothing below it is seen in a picture


class EncoderLoss(nn.Module):
    """Squared error of the conditional mean, in units of the images' variance."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder.requires_grad_(True)

    def forward(self, batch: Batch) -> Tensor:
        """The mean over items and pixels."""
        mean = self.encoder(batch.y, batch.scale, batch.noise_std).mean
        loss: Tensor = ((mean - batch.x) / SPREAD).square().mean()
        return loss


class Noised(NamedTuple):
    """What a denoiser is given, after the residual it should find; arguments of `denoise_residual`."""

    truth: Tensor
    residual: Tensor
    sigma: Tensor
    sigma_data: Tensor
    seen: Tensor
    mode: Tensor
    noise_std: Tensor

    def loss(self, denoised: Tensor) -> Tensor:
        """The mean over items and pixels, with unit weight for the raw network."""
        weight = (self.sigma**2 + self.sigma_data**2) / (self.sigma * self.sigma_data) ** 2
        return (weight.view(-1, 1, 1, 1) * (denoised - self.truth).square()).mean()


class DenoiserLoss(nn.Module):
    """The unit-weight loss of EDM on the residual of a frozen encoder; the features learn, the mean does not.

    Args:
        encoder: trained.
        denoiser: to be trained.
        noise_std: knots at which sigma_data was measured.
        sigma_data: scale -> values at the knots; scale 0 is the unconditional mode.
        margin: measurement pixels of context around a patch.
        free: every item is unconditional, and the encoder need not run.
        mean: what the unconditional mode is centred on.
    """

    def __init__(
        self,
        encoder: Encoder,
        denoiser: Denoiser,
        noise_std: list[float],
        sigma_data: dict[int, list[float]],
        margin: int,
        free: bool = False,
        mean: float = MEAN,
    ) -> None:
        super().__init__()
        self.encoder = encoder.requires_grad_(False)
        for tail in encoder.tails.values():
            tail.features.requires_grad_(True)
        self.denoiser = denoiser.requires_grad_(True)
        self.knots = noise_std
        self.sigma_data = sigma_data
        self.margin = margin
        self.free = free
        self.mean = mean
        self.density = DENSITY

    def forward(self, batch: Batch) -> Tensor:
        """The mean over items and pixels."""
        given = self.noised(batch, self._nothing(batch) if self.free else self._condition(batch))
        return given.loss(denoise_residual(self.denoiser, *given[1:]))

    def noised(self, batch: Batch, condition: Condition) -> Noised:
        """The batch's residuals at its noise levels, about a condition on the grid of its truth."""
        free = batch.unconditional
        spread = torch.where(free, self.sigma_data[0][0], self.usual(batch.scale, batch.noise_std))
        (m1, s1), (m0, s0) = self.density[True], self.density[False]
        z = math.sqrt(2) * torch.erfinv((2 * batch.uniform - 1).clamp(-0.99999, 0.99999)).to(spread)
        sigma = spread * torch.exp(torch.where(free, m0 + s0 * z, m1 + s1 * z))
        sigma = sigma.clamp(min=LOWEST)

        drop = free.view(-1, 1, 1, 1)
        residual = batch.x - torch.where(drop, self.mean, condition.mean)
        seen = denoiser_input(condition).masked_fill(drop, 0)
        mode = torch.where(free, 0, self.encoder.scales.index(batch.scale) + 1)
        noise_std = batch.noise_std.masked_fill(free, 0)
        noisy = residual + sigma.view(-1, 1, 1, 1) * batch.noise
        return Noised(residual, noisy, sigma, spread, seen, mode, noise_std)

    def _condition(self, batch: Batch) -> Condition:
        condition = self.encoder(batch.y, batch.scale, batch.noise_std)
        return Condition(*(inside(t, self.margin * batch.scale) for t in condition))

    def _nothing(self, batch: Batch) -> Condition:
        return Condition(batch.x, batch.x.new_zeros(len(batch.x), self.encoder.features, *batch.x.shape[-2:]))

    def usual(self, scale: int, noise_std: Tensor) -> Tensor:
        """sigma_data of a scale at each (B,) noise."""
        knots = torch.tensor(self.knots, device=noise_std.device)
        values = torch.tensor(self.sigma_data[scale], device=noise_std.device)
        i = torch.searchsorted(knots, noise_std.contiguous()).clamp(1, len(self.knots) - 1)
        t = (noise_std - knots[i - 1]) / (knots[i] - knots[i - 1])
        return torch.lerp(values[i - 1], values[i], t)


class PredictorLoss(nn.Module):
    """Cross-entropy of "the delivered mean is off by more than this" over all thresholds; the encoder is frozen.

    A proper loss: its minimum is the probability itself, and among all scores the probability of being off by more than
    τ trusts most at a given share of bad pixels (Neyman–Pearson).

    Args:
        encoder: trained, and its features with the denoiser.
        predictor: to be trained.
        margin: measurement pixels of context around a patch.
    """

    def __init__(self, encoder: Encoder, predictor: ErrorPredictor, margin: int) -> None:
        super().__init__()
        self.encoder = encoder.requires_grad_(False)
        self.predictor = predictor.requires_grad_(True)
        self.margin = margin

    def forward(self, batch: Batch) -> Tensor:
        """The mean over items, pixels and thresholds."""
        with torch.no_grad():
            condition = self.encoder(batch.y, batch.scale, batch.noise_std)
        cut = self.margin * batch.scale
        logits = inside(self.predictor(condition, batch.scale), cut).float()
        error = (inside(condition.mean, cut).float().clamp(0, 1) - batch.x).abs().amax(1, keepdim=True)
        bad = error > torch.tensor(THRESHOLDS, device=error.device).view(1, -1, 1, 1)
        return F.binary_cross_entropy_with_logits(logits, bad.float())


def inside(x: Tensor, cut: int) -> Tensor:
    """Less `cut` pixels on every side."""
    return x[..., cut:-cut, cut:-cut] if cut else x
