"""A file of float16 tensors with a card in its header, in safetensors, everything checked on loading."""

import hashlib
import json
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save
from torch import Tensor

from veriscale.errors import InputError
from veriscale.imaging.atomic import replacing

Tensors = dict[str, NDArray[Any]]
C = TypeVar("C", bound=msgspec.Struct)


def write_sealed(tensors: Tensors, card: msgspec.Struct, key: str, path: Path, force: bool) -> None:
    """Write tensors with their card.

    Args:
        tensors: of `stored_tensors`.
        card: which holds their digest.
        key: of the card in the header, by which kinds of files are told apart.
        path: of the file.
        force: replace a file that exists.

    Raises:
        InputError: the file exists and `force` is not set, or cannot be written.
    """
    text = msgspec.json.encode(card).decode()
    metadata = {key: text, f"{key}_sha256": hashlib.sha256(text.encode()).hexdigest()}
    with replacing(path, force) as temporary:
        temporary.write_bytes(save(tensors, metadata))  # save_file has errors of its own, even where a disk is full


def has_card(path: Path, key: str) -> bool:
    """Whether a file is sound as far as its header, which holds a card of this key."""
    try:
        with safe_open(path, "np") as file:
            return key in (file.metadata() or {})
    except (SafetensorError, OSError, ValueError):
        return False


def read_sealed_card(path: Path, kind: type[C], key: str, what: str, version: int) -> C:
    """The card of a file; the tensors are not read.

    Args:
        path: of the file.
        kind: of the card.
        key: as it was written with.
        what: the file is, for errors: a prior, for example.
        version: of the format that is read.

    Raises:
        InputError: missing, truncated, a pickle, of another kind, edited, or of another version.
    """
    _refuse_other_kinds(path, what)
    try:
        with safe_open(path, "np") as file:
            metadata: dict[str, str] = file.metadata() or {}
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(f"{path} is truncated or damaged ({error}); copy or train it again.") from error
    text = metadata.get(key)
    if text is None:
        raise InputError(f"{path} holds tensors but no card, so it is not {what} of this library.")
    try:
        found = json.loads(text).get("format_version")
    except (ValueError, AttributeError, RecursionError) as error:
        raise InputError(f"{path}: its card is damaged; copy or train it again.") from error
    if found != version:
        raise InputError(f"{path} is of format version {found}; this library reads version {version}.")
    if hashlib.sha256(text.encode()).hexdigest() != metadata.get(f"{key}_sha256"):
        raise InputError(f"{path}: its card was edited after it was written; copy or train it again.")
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.ValidationError as error:
        raise InputError(f"{path}: its card is not valid: {error}.") from error


def read_sealed_tensors(path: Path, sha256: str) -> Tensors:
    """The tensors of a file.

    Raises:
        InputError: damaged, or not those the card speaks of.
    """
    try:
        with safe_open(path, "np") as file:
            tensors = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118  # not a mapping
    except (SafetensorError, OSError, ValueError, TypeError) as error:
        raise InputError(f"{path} is truncated or damaged ({error}); copy or train it again.") from error
    if tensors_digest(tensors) != sha256:
        raise InputError(f"{path}: its tensors are not those its card speaks of; copy or train it again.")
    return tensors


def stored_tensors(parts: dict[str, torch.nn.Module]) -> Tensors:
    """All tensors of networks as they are stored, under PART.NAME."""
    return {f"{part}.{k}": _stored(v) for part, network in parts.items() for k, v in network.state_dict().items()}


def fill(
    parts: dict[str, torch.nn.Module], tensors: Tensors, path: Path, device: torch.device, dtype: torch.dtype
) -> None:
    """Put stored tensors into networks, frozen, on a device in a type.

    Raises:
        InputError: they do not fit.
    """
    for part, network in parts.items():
        prefix = f"{part}."
        state = {k.removeprefix(prefix): torch.from_numpy(v) for k, v in tensors.items() if k.startswith(prefix)}
        try:
            network.load_state_dict(state)
        except RuntimeError as error:
            raise InputError(f"{path}: the {part} does not fit the sizes on the card; train it again.") from error
        network.to(device, dtype).eval().requires_grad_(False)


def tensors_digest(tensors: Tensors) -> str:
    """Sha256 of names, types, shapes and values of tensors as stored."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        value = tensors[name]
        digest.update(f"{name} {value.dtype.str} {value.shape}\n".encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    return digest.hexdigest()


def _stored(tensor: Tensor) -> NDArray[Any]:
    return np.ascontiguousarray(tensor.detach().float().cpu().numpy().astype(np.float16))


def _refuse_other_kinds(path: Path, what: str) -> None:
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError as error:
        name = what.removeprefix("a ")
        raise InputError(f"{name[0].upper()}{name[1:]} {path} cannot be read: {error.strerror}.") from error
    if head[:2] in (b"PK", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"):
        raise InputError(f"{path} is a pickle, which can run code; only safetensors files are read.")
    if len(head) < 16 or head[8:9] != b"{":
        raise InputError(f"{path} is not a safetensors file, or is truncated.")
