"""The networks of guides for one prior, and one evaluation of its denoiser with them."""

from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from veriscale.diffusion.card import Network
from veriscale.diffusion.denoiser import Denoiser
from veriscale.diffusion.prior import denoise_residual
from veriscale.guides.arguments import GuideArguments
from veriscale.guides.refiner import Refiner
from veriscale.guides.site import Injection, Site


class Guides(NamedTuple):
    """The places where guides come in: after the encoder, and the denoiser's finest level on its way up."""

    encoder: Refiner
    denoiser: Site

    def parts(self) -> dict[str, torch.nn.Module]:
        """By name."""
        return dict(self._asdict())


def build_guides(network: Network, arguments: GuideArguments) -> Guides:
    """Freshly initialised, so that they add nothing yet; for priors of these sizes."""
    widths, channels, stem = network.denoiser.width, network.channels, network.denoiser.stem
    pool = 2 if len(widths) > 1 else 1  # so that a cell is no larger than what windows are multiples of
    guides = Guides(
        Refiner(arguments, channels, network.encoder.features),
        Site(arguments, stem, pool, widths[0], channels, embedding=2 * widths[0]),
    )
    for part in guides:
        part.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack it
    return guides


def guided_denoise(
    denoiser: Denoiser,
    injection: Injection,
    residual: Tensor,
    sigma: Tensor,
    sigma_data: Tensor,
    seen: Tensor,
    mode: Tensor,
    noise_std: Tensor,
) -> Tensor:
    """What `denoiser` makes of a noisy residual and its guides; arguments as `denoise_residual`."""
    network = partial(denoiser, inject=injection)
    denoised = denoise_residual(network, residual, sigma, sigma_data, seen, mode, noise_std)
    if injection.site.mix == "features":
        return denoised
    amount = injection.on_truth_grid(injection.amount)
    return (1 - amount) * denoised + amount * sigma_data.view(-1, 1, 1, 1) * injection.mixed()
