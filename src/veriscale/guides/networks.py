"""The networks of guides for one prior, and one evaluation of its encoder's mean and of its denoiser with them."""

from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from veriscale.diffusion.card import Network
from veriscale.diffusion.denoiser import Denoiser
from veriscale.diffusion.encoder import SPREAD, Condition
from veriscale.diffusion.prior import denoise_residual, denoiser_input
from veriscale.guides.arguments import GuideArguments
from veriscale.guides.expert import Experts, unit
from veriscale.guides.guidance import mirrored
from veriscale.guides.refiner import Refiner
from veriscale.guides.site import Injection

POOL = 2  # pixels of their grid a side that have one weight


class Guides(NamedTuple):
    """What reads the guides; what corrects the encoder's mean by them, and the denoiser's answer."""

    experts: Experts
    encoder: Refiner
    denoiser: Refiner

    def parts(self) -> dict[str, torch.nn.Module]:
        """By name."""
        return dict(self._asdict())


def build_guides(network: Network, arguments: GuideArguments) -> Guides:
    """Freshly initialised, so that they add nothing yet; for priors of these sizes."""
    n, a = network, arguments
    widths, stride = n.denoiser.width, n.denoiser.stem
    pool = POOL if len(widths) > 1 else 1  # so that a cell is no larger than what windows are multiples of
    seen, added = (n.channels + n.encoder.features) * stride**2, n.channels * stride**2
    guides = Guides(
        Experts(stride, a.width, a.depth, len(a.modalities)),
        Refiner(a, stride, pool, n.channels, seen, added, a.blocks[0]),
        Refiner(a, stride, pool, n.channels, widths[0], added, a.blocks[1], embedding=2 * widths[0]),
    )
    for part in guides:
        part.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack it
    return guides


def guided_condition(refiner: Refiner, injection: Injection, condition: Condition) -> Condition:
    """What guides make of an encoder's mean, by its features too: where the amount is 0 it is what it was.

    To the features comes what the gate has found, `Injection.on_condition`, for `guided_denoise`.
    """
    mean, features = condition
    correction = refiner(_on_its_grid(refiner, injection, condition), injection)
    if correction is None:
        # (1 − a)·m + a·Σ w_m·(m + s·r_m), since an expert predicts how the truth differs from m
        added = injection.on_truth_grid(injection.amount) * injection.mixed()
    else:
        added = F.pixel_shuffle(correction, refiner.site.stride)[injection.inside].to(mean.dtype)
    return Condition(mean + SPREAD * added, torch.cat([features, injection.on_condition()], 1))


def found_in(refiner: Refiner, injection: Injection, condition: Condition) -> Tensor:
    """(B, 2·M, H, W), `Injection.on_condition` of `guided_condition`, and nothing else of it."""
    refiner.weigh(_on_its_grid(refiner, injection, condition), injection)
    return injection.on_condition()


def _on_its_grid(refiner: Refiner, injection: Injection, condition: Condition) -> Tensor:
    seen = denoiser_input(condition).to(next(refiner.parameters()).dtype)
    return F.pixel_unshuffle(mirrored(seen, injection.edges), refiner.site.stride)


def guided_denoise(
    denoiser: Denoiser,
    refiner: Refiner,
    injection: Injection,
    residual: Tensor,
    sigma: Tensor,
    sigma_data: Tensor,
    seen: Tensor,
    mode: Tensor,
    noise_std: Tensor,
) -> Tensor:
    """What `denoiser` makes of a noisy residual, corrected by guides.

    Args:
        denoiser: of the guided prior.
        refiner, injection: of the denoiser.
        residual, sigma, sigma_data, mode, noise_std: as of `denoise_residual`.
        seen: likewise, of `guided_condition` with what its gate has found, or of the unconditional mode without.
    """
    seen, found = seen[:, : denoiser.seen], seen[:, denoiser.seen :]

    def correct(h: Tensor, embedding: Tensor, c_noise: Tensor) -> Tensor:
        correction = refiner(unit(h), injection, embedding, c_noise, found if found.shape[1] else None)
        return h.new_zeros(()) if correction is None else correction

    network = partial(denoiser, correct=correct)
    denoised = denoise_residual(network, residual, sigma, sigma_data, seen, mode, noise_std)
    if refiner.site.mix == "features":
        return denoised
    amount = injection.on_truth_grid(injection.amount)
    return (1 - amount) * denoised + amount * sigma_data.view(-1, 1, 1, 1) * injection.mixed()
