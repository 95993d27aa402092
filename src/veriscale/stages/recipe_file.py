"""Training recipes are strict TOML files: read, changed by `--set`, and what is wrong said in a recipe's own words."""

import os
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec

from veriscale.diffusion.card import DenoiserArguments, EncoderArguments, PredictorArguments
from veriscale.errors import InputError, closest
from veriscale.guides.arguments import GuideArguments
from veriscale.latent.arguments import LatentArguments
from veriscale.stages.recipe import DenoiserPhase, GuidesPhase, Phase, Recipe, Stage, Task
from veriscale.stages.recipe_rules import check

_KINDS = {
    "str": "a text",
    "str | null": "a text",
    "int": "a whole number",
    "int | null": "a whole number",
    "float": "a number",
    "float | null": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
    "object | null": "a table",
}
"""msgspec's words for kinds of values, in those of a recipe."""


def _assign(document: dict[str, Any], override: str) -> None:
    key, found, text = override.partition("=")
    if not found:
        raise InputError(f"`--set` {override!r} has no '='; write KEY=VALUE, such as seed=1 or stage.photo.clip=0.5.")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    *path, last = key.split(".")
    place: Any = document
    for part in path:
        if isinstance(place, list):
            names = [str(item.get("name")) for item in place]
            if part not in names:
                raise InputError(f"`--set` {key}: no stage is called {part!r}; {closest(part, names)}.")
            place = place[names.index(part)]
        else:
            place = place.setdefault(part, {})
        if not isinstance(place, dict | list):
            raise InputError(f"`--set` {key}: {part!r} is a value, not a table.")
    if isinstance(place, list):
        raise InputError(f"`--set` {key}: name the stage, as in stage.NAME.{last}=VALUE.")
    if not text:
        place.pop(last, None)
        return
    if last in ("data", "validation") and not isinstance(value, list):
        value = [text if not isinstance(value, str) else value]  # a folder may be called 2024
    place[last] = value


def _invalid(error: str, document: dict[str, Any]) -> str:
    """What is wrong in a recipe, of msgspec's sentence."""
    what, _, place = error.partition(" - at `")
    path = place.rstrip("`").removeprefix("$").removeprefix(".")
    table = re.sub(r"\[[\d.]*\]", "", path)
    where = re.sub(r"stage\[(\d+)\]", lambda at: _called(document["stage"][int(at[1])]), path)
    if lacking := re.fullmatch(r"Object missing required field `(.*)`", what):
        return f"{where}{'.' if where else ''}{lacking[1]} is missing; write it"
    if word := re.fullmatch(r"Invalid enum value '(.*)'", what):
        above, _, key = table.rpartition(".")
        return f"{where} is {word[1]!r}; {closest(word[1], get_args(get_type_hints(_table(above))[key]))}"
    if field := re.fullmatch(r"Object contains unknown field `(.*)`", what):
        inside = f" in {where}" if where else ""
        return f"unknown key {field[1]!r}{inside}; {closest(field[1], _table(table).__struct_fields__)}"
    if kind := re.fullmatch(r"Expected `(.*)`, got `(.*)`", what):
        return f"{where} should be {_KINDS.get(kind[1], kind[1])}, and is {_KINDS.get(kind[2], kind[2])}"
    return f"{where}: {what}" if where else what


def _called(stage: object) -> str:
    name = stage.get("name") if isinstance(stage, dict) else None
    return f"stage.{name}" if isinstance(name, str) else "stage"


def _table(where: str) -> type[msgspec.Struct]:
    """Of a table's place in a recipe."""
    tables: dict[str, type[msgspec.Struct]] = {
        "task": Task,
        "stage": Stage,
        "encoder": EncoderArguments,
        "denoiser": DenoiserArguments,
        "predictor": PredictorArguments,
        "guides": GuideArguments,
        "latent": LatentArguments,
        "stage.encoder": Phase,
        "stage.denoiser": DenoiserPhase,
        "stage.predictor": Phase,
        "stage.guides": GuidesPhase,
        "stage.autoencoder": Phase,
        "stage.unet": Phase,
    }
    return tables.get(where, Recipe)


def read_recipe(path: str | os.PathLike[str], overrides: Sequence[str] = ()) -> Recipe:
    """Read and check a recipe.

    Args:
        path: a TOML file.
        overrides: `key=value` pairs; a stage's keys as stage.NAME.key or stage.NAME.NETWORK.key.

    Raises:
        InputError: the file is missing or not TOML, a key is unknown or missing, or a value is out of range.
    """
    path = Path(path)
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"Recipe {path} cannot be read: {error.strerror}.") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise InputError(f"Recipe {path} is not valid TOML: {error}.") from error
    for override in overrides:
        _assign(document, override)
    try:
        recipe = msgspec.convert(document, Recipe)
    except msgspec.ValidationError as error:
        raise InputError(f"Recipe {path}: {_invalid(str(error), document)}.") from error
    check(recipe, path)
    return recipe
