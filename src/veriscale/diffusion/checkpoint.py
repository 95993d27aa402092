"""A prior's file: float16 tensors and the card in one safetensors file, everything checked on loading."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from torch import Tensor

from veriscale.diffusion.card import FORMAT_VERSION, Card
from veriscale.diffusion.prior import Networks, TrainedPrior, build
from veriscale.errors import InputError
from veriscale.imaging.atomic import replacing


def save_prior(networks: Networks, card: Card, path: Path, force: bool = False) -> Card:
    """Write a prior; returns the card with the hash of the tensors as stored.

    Raises:
        InputError: the file exists and `force` is not set, or cannot be written.
    """
    parts = networks.parts().items()
    tensors = {f"{part}.{k}": _stored(v) for part, network in parts for k, v in network.state_dict().items()}
    predictor = {k: v for k, v in tensors.items() if k.startswith("predictor.")}
    card = msgspec.structs.replace(
        card, tensors_sha256=tensors_digest(tensors), predictor_sha256=tensors_digest(predictor) if predictor else ""
    )
    text = msgspec.json.encode(card).decode()
    metadata = {"card": text, "card_sha256": hashlib.sha256(text.encode()).hexdigest()}
    with replacing(path, force) as temporary:
        save_file(tensors, temporary, metadata=metadata)
    return card


def read_card(path: str | os.PathLike[str]) -> Card:
    """The card of a prior's file; the tensors are not read.

    Raises:
        InputError: missing, truncated, a pickle, not a prior, edited, or of another version.
    """
    path = Path(path)
    _refuse_other_kinds(path)
    try:
        with safe_open(path, "np") as file:
            metadata: dict[str, str] = file.metadata() or {}
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(f"{path} is truncated or damaged ({error}); copy or train it again.") from error
    return _card(metadata, path)


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
    try:
        with safe_open(path, "np") as file:
            tensors = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118  # not a mapping
    except (SafetensorError, OSError, ValueError, TypeError) as error:
        raise InputError(f"{path} is truncated or damaged ({error}); copy or train it again.") from error
    if tensors_digest(tensors) != card.tensors_sha256:
        raise InputError(f"{path}: its tensors are not those its card speaks of; copy or train it again.")
    try:
        networks = build(card.network)
    except (RuntimeError, ValueError, IndexError, ZeroDivisionError) as error:
        raise InputError(f"{path}: its card names networks that cannot be built: {error}.") from error
    for part, network in networks.parts().items():
        prefix = f"{part}."
        state = {k.removeprefix(prefix): torch.from_numpy(v) for k, v in tensors.items() if k.startswith(prefix)}
        try:
            network.load_state_dict(state)
        except RuntimeError as error:
            raise InputError(f"{path}: the {part} does not fit the sizes on the card; train it again.") from error
        network.to(device, dtype).eval().requires_grad_(False)
    return TrainedPrior(card, *networks)


def _stored(tensor: Tensor) -> NDArray[Any]:
    return np.ascontiguousarray(tensor.detach().float().cpu().numpy().astype(np.float16))


def tensors_digest(tensors: dict[str, NDArray[Any]]) -> str:
    """Sha256 of names, types, shapes and values of tensors as stored."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        value = tensors[name]
        digest.update(f"{name} {value.dtype.str} {value.shape}\n".encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    return digest.hexdigest()


def _refuse_other_kinds(path: Path) -> None:
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError as error:
        raise InputError(f"Prior {path} cannot be read: {error.strerror}.") from error
    if head[:2] in (b"PK", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"):
        raise InputError(f"{path} is a pickle, which can run code; only safetensors files are read.")
    if len(head) < 16 or head[8:9] != b"{":
        raise InputError(f"{path} is not a safetensors file, or is truncated.")


def _card(metadata: dict[str, str], path: Path) -> Card:
    text = metadata.get("card")
    if text is None:
        raise InputError(f"{path} holds tensors but no card, so it is not a prior of this library.")
    try:
        version = json.loads(text).get("format_version")
    except (ValueError, AttributeError, RecursionError) as error:
        raise InputError(f"{path}: its card is damaged; copy or train it again.") from error
    if version != FORMAT_VERSION:
        raise InputError(f"{path} is of format version {version}; this library reads version {FORMAT_VERSION}.")
    if hashlib.sha256(text.encode()).hexdigest() != metadata.get("card_sha256"):
        raise InputError(f"{path}: its card was edited after it was written; copy or train it again.")
    try:
        return msgspec.json.decode(text, type=Card)
    except msgspec.ValidationError as error:
        raise InputError(f"{path}: its card is not valid: {error}.") from error
