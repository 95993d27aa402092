"""Training recipes: strict TOML files."""

import os
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from veriscale.diffusion.card import DenoiserArguments, EncoderArguments, PredictorArguments
from veriscale.errors import InputError, closest

NETWORKS = ("encoder", "denoiser", "predictor")


class Task(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is restored: channels, operators (with their share of the steps), noise, and the unconditional share.

    Noise is zero half of the time and uniform in `noise` otherwise.
    """

    operators: list[str]
    channels: int = 3
    weights: list[float] = []
    noise: tuple[float, float] = (0.0, 0.05)
    unconditional: float = 0.2

    @property
    def scales(self) -> list[int]:
        """The factors of the operators."""
        return [_factor(o) for o in self.operators]


class Stage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One training run: its data; the encoder, the denoiser with the encoder frozen, the predictor with both frozen.

    Attributes:
        data: globs under the data root, a folder, or an archive made by `--pack`.
        validation: held-out files, on which everything in the card is measured.
        licence: terms of the training data, for the card.
        encoder_steps, denoiser_steps, predictor_steps: optimiser steps.
        encoder_patch, predictor_patch: side of a training patch in measurement pixels.
        denoiser_patch: side in truth pixels.
        encoder_batch, denoiser_batch, predictor_batch: patches a step, over all processes.
        encoder_lr, denoiser_lr, predictor_lr: peak learning rates of the cosine schedule.
        ema: decay of the weights' moving average, reached by warm-up.
        clip: gradient norm.
    """

    name: str
    data: list[str]
    validation: list[str]
    encoder_steps: int
    denoiser_steps: int
    predictor_steps: int = 0
    licence: str = "unknown"
    encoder_patch: int = 48
    denoiser_patch: int = 96
    predictor_patch: int = 48
    encoder_batch: int = 16
    denoiser_batch: int = 16
    predictor_batch: int = 16
    encoder_lr: float = 8e-4
    denoiser_lr: float = 1e-3
    predictor_lr: float = 1e-3
    ema: float = 0.999
    clip: float = 1.0


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A prior from nothing but data: the whole recipe."""

    name: str
    task: Task
    stage: list[Stage]
    encoder: EncoderArguments = EncoderArguments()
    denoiser: DenoiserArguments = DenoiserArguments()
    predictor: PredictorArguments | None = None
    seed: int = 0


def _factor(operator: str) -> int:
    match = re.fullmatch(r"downsample:factor=(\d+)(,kernel=bicubic)?", operator)
    if not match or int(match[1]) < 2:
        raise InputError(
            f"Operator {operator!r} cannot be trained for; 'downsample:factor=N' with an integer N of at least 2 can."
        )
    return int(match[1])


def _assign(document: dict[str, Any], override: str) -> None:
    key, found, text = override.partition("=")
    if not found:
        raise InputError(f"`--set` {override!r} has no '='; write KEY=VALUE, such as seed=1 or stage.photo.ema=0.99.")
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
    place[last] = [value] if last in ("data", "validation") and isinstance(value, str) else value


def _unknown(error: str, document: dict[str, Any]) -> str:
    field = re.search(r"unknown field `([^`]*)`(?: - at `\$?\.?([^`]*)`)?", error)
    if not field:
        return error
    where = re.sub(r"\[\.*\d*\]", "", field[2] or "")
    tables = {
        "task": Task,
        "stage": Stage,
        "encoder": EncoderArguments,
        "denoiser": DenoiserArguments,
        "predictor": PredictorArguments,
    }
    table = tables.get(where, Recipe)
    return f"unknown key {field[1]!r}{' in ' + where if where else ''}; {closest(field[1], table.__struct_fields__)}"


def read_recipe(path: str | os.PathLike[str], overrides: Sequence[str] = ()) -> Recipe:
    """Read and check a recipe.

    Args:
        path: a TOML file.
        overrides: `key=value` pairs; a stage's keys as stage.NAME.key.

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
        raise InputError(f"Recipe {path}: {_unknown(str(error), document)}.") from error
    _check(recipe, path)
    return recipe


def _check(recipe: Recipe, path: Path) -> None:
    def demand(holds: bool, sentence: str) -> None:
        if not holds:
            raise InputError(f"Recipe {path}: {sentence}.")

    task = recipe.task
    scales = task.scales
    demand(task.channels in (1, 3), f"channels is {task.channels}; 1 (grey) and 3 (RGB) can be trained")
    demand(bool(scales) and len(set(scales)) == len(scales), "operators must be a list of different factors")
    demand(not task.weights or len(task.weights) == len(scales), "weights needs one number for each operator")
    demand(all(w > 0 for w in task.weights), "weights must be positive")
    demand(0 <= task.noise[0] <= task.noise[1] <= 1, "noise must be [low, high] within 0 and 1")
    demand(0 <= task.unconditional < 1, "unconditional must be at least 0 and below 1")
    demand(len(recipe.stage) == 1, f"{len(recipe.stage)} stages are given; one [[stage]] can be trained")
    widths, depths = recipe.denoiser.width, recipe.denoiser.depth
    demand(len(widths) == len(depths) > 0, "denoiser.width and denoiser.depth need one number for each level")
    sizes = [recipe.encoder.width, recipe.encoder.depth, *widths, *depths, recipe.denoiser.stem]
    if recipe.predictor is not None:
        sizes += [recipe.predictor.width, recipe.predictor.depth]
    demand(min(sizes) > 0 and recipe.encoder.features > 0, "sizes of networks must be positive")
    stage = recipe.stage[0]
    demand(
        (stage.predictor_steps > 0) == (recipe.predictor is not None),
        "a [predictor] and stage.predictor_steps go together: give both or neither",
    )
    counts = ["encoder_steps", "denoiser_steps", *(f"{n}_{k}" for n in NETWORKS for k in ("patch", "batch"))]
    for key in counts:
        demand(getattr(stage, key) > 0, f"stage.{key} must be positive")
    for key in [*(f"{n}_lr" for n in NETWORKS), "clip"]:
        demand(getattr(stage, key) > 0, f"stage.{key} must be positive")
    demand(0 <= stage.ema < 1, "stage.ema must be at least 0 and below 1")
    stride = recipe.denoiser.stem * 2 ** (len(widths) - 1)
    for s in scales:
        demand(
            stage.denoiser_patch % s == 0 and stage.denoiser_patch % stride == 0,
            f"denoiser_patch {stage.denoiser_patch} must be a multiple of {stride} and of every factor",
        )
