"""The networks of guides for one prior, and one evaluation of each of its own networks with them."""

from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from veriscale.diffusion.card import Network
from veriscale.diffusion.denoiser import Denoiser
from veriscale.diffusion.encoder import SPREAD, Condition, Encoder
from veriscale.diffusion.prior import denoise_residual
from veriscale.guides.arguments import GuideArguments
from veriscale.guides.site import Injection, Site


class Guides(NamedTuple):
    """The places where guides come in: the encoder's trunk, and a middle level of the denoiser on its way up."""

    encoder: Site
    denoiser: Site

    def parts(self) -> dict[str, torch.nn.Module]:
        """By name."""
        return dict(self._asdict())


def build_guides(network: Network, arguments: GuideArguments) -> Guides:
    """Freshly initialised, so that they add nothing yet; for priors of these sizes."""
    widths, channels = network.denoiser.width, network.channels
    seam = len(widths) // 2  # as of `Denoiser`
    strides = [network.denoiser.stem << seam]
    guides = Guides(
        Site(arguments, network.scales, network.encoder.width, channels),
        Site(arguments, strides, widths[seam], channels, embedding=2 * widths[0]),
    )
    for part in guides:
        part.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack it
    return guides


def inject_into_encoder(guides: Guides, scale: int, pictures: Tensor, valid: Tensor) -> Injection:
    """For a measurement of a scale; arguments as `Injection`."""
    return Injection(guides.encoder, pictures, valid, scale)


def inject_into_denoiser(guides: Guides, denoiser: Denoiser, pictures: Tensor, valid: Tensor) -> Injection:
    """For a denoiser; arguments as `Injection`."""
    return Injection(guides.denoiser, pictures, valid, denoiser.stem << denoiser.seam)


def guided_encode(
    encoder: Encoder, injection: Injection, y: Tensor, scale: int, noise_std: Tensor, features: bool
) -> Condition:
    """What `encoder` makes of a measurement and its guides; arguments as `Encoder.forward`."""
    condition: Condition = encoder(y, scale, noise_std, features, injection)
    if injection.site.mix == "features":
        return condition
    # (1 − a)·m + a·Σ w_m·(m + s·r_m), since an expert predicts how the truth differs from m
    correction = injection.on_truth_grid(injection.amount) * injection.mixed()
    return Condition(condition.mean + SPREAD * correction, condition.features)


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
