"""TAEF2, the tiny autoencoder of FLUX.2's latents: its layout is no class of diffusers."""

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from veriscale.errors import InputError
from veriscale.latent.arguments import PIXELS_OF_TAEF2
from veriscale.latent.autoencoder import Autoencoder

TAEF2 = "Taef2"
"""Its class in the index of a folder that we wrote."""

CHANNELS = 32
WIDTH = 64
CONFIG: dict[str, Any] = {"_class_name": TAEF2, "in_channels": 3, "latent_channels": CHANNELS}
PARTS = "encoder", "decoder"

# Per pixel the decoder keeps about seven tensors of its width in each block, a quarter as many a level down.
_GRAPH = 4 * WIDTH * 7 * 5


class _Block(nn.Module):
    """Three convolutions about a skip; with `pool` a group norm, over the whole picture, before them."""

    def __init__(self, pool: bool = False) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(3):
            layers += [nn.Conv2d(WIDTH, WIDTH, 3, padding=1), nn.ReLU()]
        self.conv = nn.Sequential(*layers[:-1])
        self.pool = (
            nn.Sequential(
                nn.Conv2d(WIDTH, 4 * WIDTH, 1, bias=False),
                nn.GroupNorm(4, 4 * WIDTH),
                nn.ReLU(),
                nn.Conv2d(4 * WIDTH, WIDTH, 1, bias=False),
            )
            if pool
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, WIDTH, H, W) to the same."""
        if self.pool is not None:
            x = x + self.pool(x)
        return torch.relu(self.conv(x) + x)


class _Bounded(nn.Module):
    def forward(self, z: Tensor) -> Tensor:
        return 3 * torch.tanh(z / 3)


class Taef2(nn.Module):
    """Encoder and decoder of pictures in [0, 1], and the mean and standard deviation of latents by channel.

    Source: github.com/madebyollin/taesd, `TAEF2`; its keys are theirs.
    """

    def __init__(self) -> None:
        super().__init__()

        def halved() -> list[nn.Module]:
            return [nn.Conv2d(WIDTH, WIDTH, 3, stride=2, padding=1, bias=False)]

        def doubled() -> list[nn.Module]:
            return [nn.Upsample(scale_factor=2), nn.Conv2d(WIDTH, WIDTH, 3, padding=1, bias=False)]

        def blocks(pool: bool = False) -> list[nn.Module]:
            return [_Block(pool) for _ in range(3)]

        down = [*halved(), *blocks(), *halved(), *blocks(), *halved(), *blocks(pool=True)]
        up = [*blocks(pool=True), *doubled(), *blocks(), *doubled(), *blocks(), *doubled(), _Block()]
        first, last = nn.Conv2d(3, WIDTH, 3, padding=1), nn.Conv2d(WIDTH, 3, 3, padding=1)
        inner = nn.Conv2d(WIDTH, CHANNELS, 3, padding=1), nn.Conv2d(CHANNELS, WIDTH, 3, padding=1)
        self.encoder = nn.Sequential(first, _Block(), *down, inner[0])
        self.decoder = nn.Sequential(_Bounded(), inner[1], nn.ReLU(), *up, last)
        self.register_buffer("mean", torch.zeros(CHANNELS))
        self.register_buffer("std", torch.ones(CHANNELS))


def read_taef2(name: str, root: Path) -> Taef2:
    """The networks of NAME_encoder.safetensors and NAME_decoder.safetensors under `root`.

    Raises:
        InputError: they are missing, damaged or something else.
    """
    found = Taef2()
    for part in PARTS:
        _fill(found.get_submodule(part), root / f"{name}_{part}.safetensors")
    return found


def load_taef2(weights: Path) -> Taef2:
    """What was saved whole, with its statistics; errors as `read_taef2`."""
    found = Taef2()
    _fill(found, weights)
    return found


def autoencoder_of_taef2(module: Taef2, device: torch.device) -> Autoencoder:
    """The functions of an `Autoencoder`, latents in units of their standard deviation about their mean."""
    module = module.to(device).float().eval().requires_grad_(False)
    mean, std = (module.get_buffer(name).view(1, -1, 1, 1) for name in ("mean", "std"))
    return Autoencoder(
        lambda x: (module.encoder(x) - mean) / std,
        lambda z: module.decoder(z * std + mean),
        PIXELS_OF_TAEF2,
        CHANNELS,
        device,
        torch.float32,
        graph=_GRAPH,
    )


def _fill(module: nn.Module, path: Path) -> None:
    try:
        module.load_state_dict(load_file(path))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise InputError(f"{path} is no part of TAEF2 ({str(error).splitlines()[0]}); copy it again.") from error
