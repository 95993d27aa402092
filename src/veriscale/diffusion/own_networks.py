"""The networks that somebody's own denoiser is made of: found, and hashed."""

import hashlib
import inspect
import json
from collections.abc import Callable, Sequence
from functools import partial
from types import ModuleType
from typing import Any

import torch

from veriscale.errors import InputError

_RESTLESS = torch.nn.modules.batchnorm._BatchNorm, torch.nn.modules.dropout._DropoutNd  # their common bases


def networks_of(function: Callable[..., Any], module: torch.nn.Module | None) -> dict[str, torch.nn.Module]:
    """Those that a function is, belongs to or refers to, itself or one step on, by name; `module` where it is given."""
    if module is not None:
        return {"": module}
    for whole in (function, getattr(function, "__self__", None)):
        if isinstance(whole, torch.nn.Module):
            return {"": whole}
    first = _held(function)
    second = {f"{name}.{k}": v for name, thing in first.items() for k, v in _held(thing).items()}
    found = dict[str, torch.nn.Module]()
    for name, thing in (*sorted(first.items()), *sorted(second.items())):
        if isinstance(thing, torch.nn.Module) and not any(thing is known for known in found.values()):
            found[name] = thing
    return found


def _held(thing: Any) -> dict[str, Any]:
    """What a function refers to, an object has or a row holds, by name; nothing of networks and Python's modules."""
    if isinstance(thing, torch.nn.Module | ModuleType):
        return {}
    if isinstance(thing, partial):
        return {"": thing.func, **_numbered(thing.args), **thing.keywords}
    if inspect.ismethod(thing):
        return {"self": thing.__self__, **_held(thing.__func__)}
    if inspect.isfunction(thing):
        try:
            seen = inspect.getclosurevars(thing)
        except ValueError:  # a variable of its surroundings has no value yet
            return {}
        return {**seen.globals, **seen.nonlocals, **_numbered(thing.__defaults__), **(thing.__kwdefaults__ or {})}
    if isinstance(thing, dict):
        return {str(k): v for k, v in thing.items()}
    if isinstance(thing, list | tuple):
        return _numbered(thing)
    return {**vars(type(thing)), **getattr(thing, "__dict__", {})}


def _numbered(things: Sequence[Any] | None) -> dict[str, Any]:
    return {str(k): thing for k, thing in enumerate(things or ())}


def values_of(networks: dict[str, torch.nn.Module]) -> dict[str, int]:
    """How many numbers of each their hash is of."""
    return {name: sum(value.numel() for value in m.state_dict().values()) for name, m in networks.items()}


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
