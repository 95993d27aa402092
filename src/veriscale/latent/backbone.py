"""The denoising networks of diffusers that are known, called in one way."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from veriscale.errors import InputError
from veriscale.latent.folder import Folder

UNCONDITIONAL, WITH_TEXT, FLOW = "UNet2DModel", "UNet2DConditionModel", "SD3Transformer2DModel"
BACKBONES = UNCONDITIONAL, WITH_TEXT, FLOW

Condition = dict[str, Tensor]
"""What a network is told beside its input, by the names of its arguments."""

# Tensors of its width that a block keeps for a gradient: of convolutions, of attention behind them, of a flow.
HELD_BY_BLOCK, HELD_BY_ATTENTION, HELD_BY_FLOW = 10, 27, 14

# Of a configuration: what the network would have to be told that nobody here says.
_UNTOLD = {
    "class_embed_type": "a class",
    "num_class_embeds": "a class",
    "time_cond_proj_dim": "its guidance (a latent consistency model)",
    "encoder_hid_dim_type": "embeddings of images",
}


@dataclass(frozen=True, eq=False)
class Backbone:
    """A network on its device, without a gradient in its weights.

    Attributes:
        module: of diffusers.
        channels: of what it denoises.
    """

    module: Any
    channels: int

    def __call__(self, x: Tensor, t: Tensor, condition: Condition) -> Tensor:
        """What it predicts for x (B, C, H, W) at timesteps t (B,), float32; a learned variance is left out."""
        told = {k: v.expand(len(x), *v.shape[1:]) for k, v in condition.items()}
        into = {"hidden_states" if self.kind == FLOW else "sample": x.to(self.dtype)}
        out: Tensor = self.module(**into, timestep=t, **told).sample
        return out[:, : self.channels].float()

    @property
    def kind(self) -> str:
        """Its class."""
        return type(self.module).__name__

    @property
    def device(self) -> torch.device:
        """Of its weights."""
        found: torch.device = next(iter(self.module.parameters())).device
        return found

    @property
    def dtype(self) -> torch.dtype:
        """Of its weights."""
        found: torch.dtype = next(iter(self.module.parameters())).dtype
        return found

    @property
    def graph(self) -> int:
        """Bytes a pixel of latents that it keeps for a gradient, about."""
        config, size = self.module.config, self.dtype.itemsize
        if self.kind == FLOW:
            width = config.num_attention_heads * config.attention_head_dim
            return int(size * HELD_BY_FLOW * width * config.num_layers // config.patch_size**2)
        widths, layers = config.block_out_channels, config.layers_per_block
        each = [layers] * len(widths) if isinstance(layers, int) else layers
        found: int = 0
        for k, (width, count, kind) in enumerate(zip(widths, each, config.down_block_types, strict=True)):
            held = HELD_BY_BLOCK + (HELD_BY_ATTENTION if "Attn" in kind else 0)
            found += size * held * width * (2 * count + 1) // 4**k  # one more on the way up
        return found

    @property
    def stride(self) -> int:
        """What both sides of its input must be multiples of."""
        return stride_of(self.module.config)


def stride_of(config: Any) -> int:
    """What both sides of a network's input must be multiples of, by its configuration."""
    patch = config.get("patch_size")
    return int(patch) if patch else 2 ** (len(config["block_out_channels"]) - 1)


def denoising_component(folder: Folder) -> str:
    """The component that denoises: "unet" or "transformer".

    Raises:
        InputError: there is none, or none that can be used.
    """
    there = [name for name in ("unet", "transformer") if name in folder.components]
    if not there:
        raise InputError(
            f"{folder.path} ({folder.index.get('_class_name')}) has neither a unet nor a transformer; supported: "
            f"{', '.join(BACKBONES)}."
        )
    name = there[0]
    kind = folder.components[name]
    if kind not in BACKBONES:
        raise InputError(
            f"The {name} of {folder.path} is a {kind}, which is not supported; supported: {', '.join(BACKBONES)}."
        )
    config = folder.config(name)
    if config.get("addition_embed_type") == "text_time":
        raise InputError(f"{folder.path} is a model of the SDXL kind, which is not supported; SD 1 to 2 and SD 3 are.")
    told = [what for key, what in _UNTOLD.items() if config.get(key)]
    if told or config.get("addition_embed_type"):
        what = told[0] if told else config["addition_embed_type"]
        raise InputError(f"The {name} of {folder.path} wants to be told {what}, which is not supported.")
    return name
