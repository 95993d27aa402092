"""A model in the layout of diffusers on disk: what its files say, before any network is loaded."""

import json
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from veriscale.diffusion.library import INDEX, known_models, known_priors
from veriscale.errors import InputError
from veriscale.latent.file_hashes import files_sha256

WEIGHTS = "diffusion_pytorch_model", "model"
"""How files of weights are called, those of networks of diffusers and of text encoders."""
PICKLES = ".bin", ".ckpt", ".pt", ".pth"
SMALL_FILES = ".json", ".txt", ".model"


@dataclass(frozen=True)
class Folder:
    """A folder with `model_index.json`.

    Attributes:
        path: of it.
        index: what that file holds: a pair (library, class) for every component.
        variant: of the weights, such as "fp16"; by default the one there is, the plain one first.
    """

    path: Path
    index: dict[str, Any]
    variant: str | None = None

    @property
    def name(self) -> str:
        """Of the model, for people: its folder's, or its own where the hub's store gave the folder a hash for one."""
        parts = self.path.resolve().parts
        stored = [part for part in parts if part.startswith("models--")]
        return stored[-1].split("--")[-1] if stored else parts[-1]

    @cached_property
    def components(self) -> dict[str, str]:
        """The class of every component that is there."""
        return {
            name: said[1]
            for name, said in self.index.items()
            if isinstance(said, list) and len(said) == 2 and isinstance(said[1], str)
        }

    def config(self, component: str) -> dict[str, Any]:
        """Of a component.

        Raises:
            InputError: it is missing or damaged.
        """
        for name in ("config.json", "scheduler_config.json"):
            if (self.path / component / name).is_file():
                return read_json(self.path / component / name)
        raise InputError(f"{self.path} has no configuration of its {component}; copy it again, whole.")

    def number(self, component: str, key: str, default: int) -> int:
        """A whole number above 0 of a component's configuration.

        Raises:
            InputError: it is something else.
        """
        found = self.config(component).get(key, default)
        if type(found) is not int or found < 1:
            raise InputError(
                f"The configuration of the {component} of {self.path} says {key} {found!r}, and a whole number above 0 "
                "is wanted; copy it again."
            )
        return found

    def variant_of(self, component: str) -> str | None:
        """The variant of a component's weights that is taken.

        Raises:
            InputError: it has none, or pickles alone, which can run code.
        """
        there = self._variants(component)
        if self.variant in there:
            return self.variant
        if self.variant is None and there:
            return next(iter(there))
        if there:
            known = ", ".join(v or "the plain one" for v in there)
            raise InputError(f"The {component} of {self.path} has no variant {self.variant!r}; there: {known}.")
        pickles = [p.name for p in (self.path / component).glob("*") if p.suffix in PICKLES]
        if pickles:
            raise InputError(
                f"The {component} of {self.path} is a pickle alone ({pickles[0]}), which can run code; save it as "
                "safetensors."
            )
        raise InputError(f"{self.path} has no weights of its {component}; copy it again, whole.")

    def _variants(self, component: str) -> dict[str | None, list[Path]]:
        """Files of weights by variant, the plain one first."""
        found: dict[str | None, list[Path]] = {}
        for path in sorted((self.path / component).glob("*.safetensors")):
            stem, _, variant = path.stem.partition(".")
            # Shards are NAME-00001-of-00002 or, of a variant, NAME.fp16-00001-of-00002.
            if stem.partition("-0")[0] in WEIGHTS:
                found.setdefault(variant.partition("-0")[0] or None, []).append(path)
        return {k: found[k] for k in sorted(found, key=lambda k: k or "")}

    def weights(self, component: str) -> list[Path]:
        """Its files of weights that are taken."""
        return self._variants(component)[self.variant_of(component)]

    def size(self, component: str) -> int:
        """Bytes of its weights."""
        return sum(path.stat().st_size for path in self.weights(component))

    def sha256(self, components: list[str]) -> str:
        """Of the files of these components: configurations, vocabularies and the weights that are taken."""
        files = [self.path / INDEX]
        for component in components:
            folder = self.path / component
            files += [p for p in folder.rglob("*") if p.suffix in SMALL_FILES and p.is_file()]
            if variants := self._variants(component):
                files += variants[self.variant_of(component)]
        return files_sha256(self.path, files)


def model_folder(name: str | os.PathLike[str]) -> Path | None:
    """The folder that a prior's name stands for: one that is there, or a model beside the priors; None of other names.

    A folder without a model stands for itself too, to be told what it lacks, unless something installed has its name.
    """
    path = Path(name)
    if (path / INDEX).is_file():
        return path
    if str(name) in known_priors():
        return None
    return known_models().get(str(name), path if path.is_dir() else None)


def read_folder(path: Path, variant: str | None = None) -> Folder:
    """A folder with a model.

    Raises:
        InputError: it holds none.
    """
    if not (path / INDEX).is_file():
        raise InputError(f"Folder {path} has no {INDEX}, and so is no model in the layout of diffusers.")
    return Folder(path, read_json(path / INDEX), variant)


def read_json(path: Path) -> dict[str, Any]:
    """An object of JSON.

    Raises:
        InputError: it cannot be read, or is something else.
    """
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} is damaged ({error}); copy it again.") from error
    if not isinstance(found, dict):
        raise InputError(f"{path} holds no object of JSON; copy it again.")
    return found
