"""What of the networks a phase trains: all, the decoders, the normalisation and the biases, or low-rank updates."""

import re

import torch
from torch import nn

from veriscale.diffusion.prior import Networks
from veriscale.errors import InputError
from veriscale.stages.lora import LowRank, matrix_of
from veriscale.stages.rates import rank_of

# Of each phase by the names of the losses: its own network, and the part of the encoder that its loss sees or trains.
_TRAINED = {
    "encoder": re.compile(r"encoder\.(?!tails\.\d+\.features\.)"),
    "denoiser": re.compile(r"denoiser\.|encoder\.tails\.\d+\.features\."),
    "predictor": re.compile(r"predictor\."),
}
_KEPT = {
    "decoder": re.compile(r"encoder\.tails\.|denoiser\.(up|grow|out)\.|predictor\.exits\."),
    "norm+bias": re.compile(r".*(\.modulation\.weight|\.bias)$"),
}


def trained(networks: Networks, network: str, trainable: str) -> dict[str, nn.Parameter]:
    """The parameters that a phase trains, as its loss names them; with low rank the weights that have an update.

    Args:
        networks: of the prior.
        network: the phase's own.
        trainable: what the recipe says.

    Raises:
        InputError: the rank is larger than the smaller side of every convolution's matrix.

    Source: ours, docs/methods.md#what-is-trained.
    """
    named = {f"{part}.{n}": p for part, module in networks.parts().items() for n, p in module.named_parameters()}
    found = {n: p for n, p in named.items() if _TRAINED[network].match(n)}
    if trainable in _KEPT:
        return {n: p for n, p in found.items() if _KEPT[trainable].match(n)}
    rank = rank_of(trainable)
    if rank is None:
        return found
    found = {n: p for n, p in found.items() if p.ndim == 4}  # of convolutions
    widest = max(found, key=lambda n: min(matrix_of(found[n])))
    rows, columns = matrix_of(found[widest])
    if rank > min(rows, columns):
        raise InputError(
            f"Rank {rank} of trainable = {trainable!r} is larger than any convolution of the {network}'s phase: "
            f"{widest.removesuffix('.weight')} is a matrix of {rows}×{columns}, so that {min(rows, columns)} is the "
            "largest rank that fits."
        )
    return found


def count(networks: Networks, network: str, trainable: str) -> int:
    """How many numbers a phase trains.

    Raises:
        InputError: as `trained`.
    """
    found = trained(networks, network, trainable).values()
    rank = rank_of(trainable)
    return sum(p.numel() if rank is None else min(rank, *matrix_of(p)) * sum(matrix_of(p)) for p in found)


def restrict(
    loss: nn.Module, networks: Networks, network: str, trainable: str, generator: torch.Generator
) -> nn.Module:
    """The loss of a phase with everything frozen that the recipe does not train.

    Args:
        loss: of the phase, over these networks, which has frozen what it never trains.
        networks: of the prior.
        network: the phase's own.
        trainable: what the recipe says.
        generator: on the CPU; draws what low-rank updates begin with.

    Raises:
        InputError: as `trained`.
    """
    if trainable == "all":
        return loss
    names = list(trained(networks, network, trainable))
    rank = rank_of(trainable)
    if rank is not None:
        return LowRank(loss, names, rank, generator)
    for name, parameter in loss.named_parameters():
        parameter.requires_grad_(name in names)
    return loss
