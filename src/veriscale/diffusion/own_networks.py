"""The networks that somebody's own denoiser is made of: found, and hashed."""

import hashlib
import inspect
import json
from collections.abc import Callable
from typing import Any

import torch

from veriscale.errors import InputError

_RESTLESS = torch.nn.modules.batchnorm._BatchNorm, torch.nn.modules.dropout._DropoutNd  # their common bases


def networks_of(function: Callable[..., Any], module: torch.nn.Module | None) -> dict[str, torch.nn.Module]:
    """Those that a function is, belongs to or refers to, by name; `module` where it is given."""
    if module is not None:
        return {"": module}
    for whole in (function, getattr(function, "__self__", None)):
        if isinstance(whole, torch.nn.Module):
            return {"": whole}
    if not inspect.isfunction(function):
        return {}
    seen = inspect.getclosurevars(function)
    return {k: v for k, v in sorted({**seen.globals, **seen.nonlocals}.items()) if isinstance(v, torch.nn.Module)}


def networks_sha256(stated: list[object], networks: dict[str, torch.nn.Module]) -> str:
    """Sha256 of what was stated and of every parameter and buffer.

    Raises:
        InputError: a network is in training mode, or keeps what is no tensor or has no values yet.
    """
    if any(part.training and isinstance(part, _RESTLESS) for m in networks.values() for part in m.modules()):
        raise InputError("The network is in training mode, where it answers otherwise every time; call its `eval()`.")
    digest = hashlib.sha256(json.dumps(stated).encode())
    for name, network in networks.items():
        for key, value in sorted(network.state_dict().items()):
            try:
                digest.update(f"{name}.{key} {value.dtype} {tuple(value.shape)}\n".encode())
                digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
            except (AttributeError, TypeError, ValueError, RuntimeError) as error:  # no tensor, or one without values
                raise InputError(
                    f"The network's {key!r} has no values and cannot be hashed; load its weights first."
                ) from error
    return digest.hexdigest()
