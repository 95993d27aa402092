"""Networks that were trained here, written in the layout of diffusers, in float16."""

import json
from pathlib import Path
from typing import Any

import msgspec
from safetensors.torch import save_file
from torch import nn

from veriscale.diffusion.library import INDEX
from veriscale.latent.model_card import CARD, ModelCard
from veriscale.latent.packages import quiet
from veriscale.latent.taef2 import CONFIG, TAEF2, Taef2


def write_model(folder: Path, unet: nn.Module, autoencoder: nn.Module | None, scheduler: Any, card: ModelCard) -> None:
    """Write a model; its networks are rounded to float16, and stay what is written.

    diffusers reads it as an LDMPipeline, or as a DDPMPipeline where there is no autoencoder.

    Args:
        folder: which is there, and empty.
        unet: a UNet2DModel.
        autoencoder: an AutoencoderKL or a `Taef2`; None of a network that denoises pictures.
        scheduler: of diffusers.
        card: of both.
    """
    with quiet("diffusers") as diffusers:
        parts: dict[str, Any] = {"unet": unet, "scheduler": scheduler}
        index: dict[str, Any] = {
            "_class_name": "DDPMPipeline" if autoencoder is None else "LDMPipeline",
            "_diffusers_version": diffusers.__version__,
            **{name: ["diffusers", type(part).__name__] for name, part in parts.items()},
        }
        unet.half()
        if isinstance(autoencoder, Taef2):
            index["vqvae"] = [__package__, TAEF2]
            (folder / "vqvae").mkdir()
            (folder / "vqvae" / "config.json").write_text(json.dumps(CONFIG, indent=1))
            save_file(autoencoder.half().state_dict(), folder / "vqvae" / "diffusion_pytorch_model.safetensors")
        elif autoencoder is not None:
            index["vqvae"] = ["diffusers", type(autoencoder).__name__]  # as LDMPipeline calls every autoencoder
            parts["vqvae"] = autoencoder.half()
        for name, part in parts.items():
            part.save_pretrained(folder / name)
    for module in (unet, autoencoder):
        if module is not None:
            module.float()
    (folder / INDEX).write_text(json.dumps(index, indent=1))
    write_card(folder, card)


def write_card(folder: Path, card: ModelCard) -> None:
    """Write the card of a model, in the place of another."""
    (folder / CARD).write_bytes(msgspec.json.format(msgspec.json.encode(card), indent=1))
