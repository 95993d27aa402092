"""A prior's file: float16 tensors and the card in one safetensors file, everything checked on loading."""

import os
from pathlib import Path

import msgspec
import torch

from veriscale.diffusion.card import FORMAT_VERSION, Card
from veriscale.diffusion.prior import Networks, TrainedPrior, build
from veriscale.diffusion.sealed import (
    fill,
    read_sealed_card,
    read_sealed_tensors,
    stored_tensors,
    tensors_digest,
    write_sealed,
)
from veriscale.errors import InputError

_KEY = "card"


def save_prior(networks: Networks, card: Card, path: Path, force: bool = False) -> Card:
    """Write a prior; returns the card with the hash of the tensors as stored.

    Raises:
        InputError: the file exists and `force` is not set, or cannot be written.
    """
    tensors = stored_tensors(networks.parts())
    predictor = {k: v for k, v in tensors.items() if k.startswith("predictor.")}
    card = msgspec.structs.replace(
        card, tensors_sha256=tensors_digest(tensors), predictor_sha256=tensors_digest(predictor) if predictor else ""
    )
    write_sealed(tensors, card, _KEY, path, force)
    return card


def read_card(path: str | os.PathLike[str]) -> Card:
    """The card of a prior's file; the tensors are not read.

    Raises:
        InputError: missing, truncated, a pickle, not a prior, edited, or of another version.
    """
    return read_sealed_card(Path(path), Card, _KEY, "a prior", FORMAT_VERSION)


def load_checkpoint(path: str | os.PathLike[str], device: torch.device, dtype: torch.dtype) -> TrainedPrior:
    """Read and check a prior.

    Args:
        path: a file that `save_prior` wrote.
        device: where the networks go.
        dtype: the type they compute in.

    Raises:
        InputError: as `read_card`, or the tensors are not those the card speaks of.
    """
    path = Path(path)
    card = read_card(path)
    tensors = read_sealed_tensors(path, card.tensors_sha256)
    try:
        networks = build(card.network)
    except (RuntimeError, ValueError, IndexError, ZeroDivisionError) as error:
        raise InputError(f"{path}: its card names networks that cannot be built: {error}.") from error
    fill(networks.parts(), tensors, path, device, dtype)
    return TrainedPrior(card, *networks)
