"""The losses of the three phases over some networks, and a batch for each."""

from collections.abc import Callable

import torch
from torch import nn

from veriscale.diffusion.prior import Networks
from veriscale.stages.batches import Batch
from veriscale.stages.losses import DenoiserLoss, EncoderLoss, PredictorLoss


def loss_of(networks: Networks, network: str) -> nn.Module:
    encoder, denoiser, predictor = networks
    spread = {0: [0.27], **{s: [0.1, 0.1] for s in encoder.scales}}
    makers: dict[str, Callable[[], nn.Module]] = {
        "encoder": lambda: EncoderLoss(encoder),
        "denoiser": lambda: DenoiserLoss(encoder, denoiser, [0.0, 0.05], spread, margin=2),
        "predictor": lambda: PredictorLoss(encoder, predictor, margin=2),
    }
    return makers[network]()


def batch(scale: int, network: str) -> Batch:
    g = torch.Generator().manual_seed(scale)
    size = 12 * scale if network != "encoder" else 16 * scale
    x, noise = torch.rand(2, 3, size, size, generator=g), torch.randn(2, 3, size, size, generator=g)
    std = torch.tensor([0.0, 0.03])
    y = torch.rand(2, 3, 16, 16, generator=g)
    return Batch(x, y, scale, std, torch.tensor([True, False]), torch.tensor([0.3, 0.6]), noise)


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def named(networks: Networks) -> dict[str, torch.Tensor]:
    return {f"{k}.{n}": p for k, part in networks.parts().items() for n, p in part.named_parameters()}
