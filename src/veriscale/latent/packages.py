"""The packages of the extra `latent`, imported when a model is loaded."""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from veriscale.errors import InputError
from veriscale.runtime.allocation import is_out_of_memory


def package(name: str) -> Any:
    """A package of the extra, `diffusers` or `transformers`.

    Raises:
        InputError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise InputError(
            f"A model in the layout of diffusers needs the package {name} ({error}); install veriscale[latent]."
        ) from error


@contextmanager
def quiet(name: str) -> Iterator[Any]:
    """A package that neither warns nor shows progress meanwhile: what a user should hear, the sentences here say."""
    found = package(name)
    says = found.utils.logging
    level, shows = says.get_verbosity(), says.is_progress_bar_enabled()
    says.set_verbosity_error()
    says.disable_progress_bar()
    try:
        yield found
    finally:
        says.set_verbosity(level)
        if shows:
            says.enable_progress_bar()


@contextmanager
def loading(path: Path, device: torch.device) -> Iterator[None]:
    """Turn what goes wrong where networks are loaded from a folder onto a device into an `InputError`."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # whatever diffusers, transformers and safetensors say of files
        if is_out_of_memory(error):
            raise InputError(
                f"{path} does not fit into the memory of {device}; load it with another `--device`, or in Python with "
                "dtype=torch.float16."
            ) from error
        raise InputError(f"{path} cannot be loaded: {first_line(error)}") from error


def first_line(error: Exception) -> str:
    """What an error says, in a line."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
