"""Networks in the classes of diffusers that are trained here, and what they are told of noise."""

from typing import Any

import torch
from torch import Tensor

from veriscale.latent.arguments import LatentArguments
from veriscale.latent.packages import quiet
from veriscale.latent.schedule import Schedule, schedule_of

AUTOENCODER_GROUPS, UNET_GROUPS = 8, 32
"""Of their norms: widths are multiples of these."""

BLOCKS = 1
"""Residual blocks a level on the way down, one more on the way up."""


LOG_VARIANCE = -6.0
"""Of a new autoencoder's latents: as noisy as they are large, they would first have to learn to be heard."""


def new_autoencoder(arguments: LatentArguments, channels: int) -> Any:
    """An AutoencoderKL without attention, whose latents will be brought to unit variance by `standardise`.

    It begins nearly linear: residual blocks add nothing yet, and latents have little noise.
    """
    levels = len(arguments.autoencoder)
    with quiet("diffusers") as diffusers:
        module = diffusers.AutoencoderKL(
            in_channels=channels,
            out_channels=channels,
            block_out_channels=arguments.autoencoder,
            down_block_types=("DownEncoderBlock2D",) * levels,
            up_block_types=("UpDecoderBlock2D",) * levels,
            layers_per_block=BLOCKS,
            latent_channels=arguments.channels,
            norm_num_groups=AUTOENCODER_GROUPS,
            mid_block_add_attention=False,
            scaling_factor=1.0,
            force_upcast=False,
        )
    _silence(module, ".conv2")
    with torch.no_grad():
        module.quant_conv.weight[arguments.channels :] = 0
        module.quant_conv.bias[arguments.channels :] = LOG_VARIANCE
    return module


def new_unet(arguments: LatentArguments, channels: int, side: int) -> Any:
    """A UNet2DModel without attention, whose residual blocks add nothing yet, and which answers 0.

    Args:
        arguments: its widths.
        channels: of what it denoises.
        side: of what it is trained on, which diffusers' own pipelines draw.
    """
    levels = len(arguments.unet)
    with quiet("diffusers") as diffusers:
        module = diffusers.UNet2DModel(
            sample_size=side,
            in_channels=channels,
            out_channels=channels,
            block_out_channels=arguments.unet,
            down_block_types=("DownBlock2D",) * levels,
            up_block_types=("UpBlock2D",) * levels,
            layers_per_block=BLOCKS,
            norm_num_groups=UNET_GROUPS,
            add_attention=False,
        )
    _silence(module, ".conv2", "conv_out")
    return module


def new_scheduler(latents: bool) -> Any:
    """What the network is trained with; it predicts v, which is as well posed at little noise as at much.

    Source: the betas of latents are those of Rombach et al. 2022, of pictures those of Ho et al. 2020; v is of
    Salimans & Ho 2022.
    """
    betas: dict[str, Any] = {"beta_start": 1e-4, "beta_end": 0.02, "beta_schedule": "linear"}
    if latents:
        betas = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
    with quiet("diffusers") as diffusers:
        return diffusers.DDIMScheduler(**betas, prediction_type="v_prediction", clip_sample=False)


@torch.no_grad()
def _silence(module: Any, *layers: str) -> None:
    """Weights and biases of 0.

    Source: Ho et al. 2020, of their code; diffusers' networks begin otherwise.

    Args:
        module: of diffusers.
        layers: the ends of their names.
    """
    for name, layer in module.named_modules():
        if name.endswith(layers):
            layer.weight.zero_()
            layer.bias.zero_()


def new_schedule(latents: bool) -> Schedule:
    """What `new_scheduler` says, as our loader reads it."""
    return schedule_of("DDIMScheduler", dict(new_scheduler(latents).config), "the new scheduler")


@torch.no_grad()
def standardise(autoencoder: Any, mean: Tensor, std: Tensor) -> None:
    """Give an AutoencoderKL latents of mean 0 and variance 1, by its own two 1×1 convolutions; pictures stay.

    So that every pipeline of diffusers reads them right, whichever of a configuration's statistics it knows.

    Args:
        autoencoder: with latents of other statistics.
        mean, std: of them, by channel, (c,).
    """
    into, out, c = autoencoder.quant_conv, autoencoder.post_quant_conv, len(mean)
    out.bias += out.weight[:, :, 0, 0] @ mean
    out.weight *= std.view(1, -1, 1, 1)
    into.bias[:c] -= mean
    into.bias[:c] /= std
    into.weight[:c] /= std.view(-1, 1, 1, 1)
    into.bias[c:] -= 2 * std.log()  # the logarithms of variances
