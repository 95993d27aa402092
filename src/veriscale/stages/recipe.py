"""Training recipes: strict TOML files."""

import math
import os
import re
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

import msgspec

from veriscale.diffusion.card import DenoiserArguments, EncoderArguments, PredictorArguments
from veriscale.errors import InputError, closest
from veriscale.guides.arguments import GuideArguments
from veriscale.stages.rates import WORDS, default_rate, is_known, takes

NETWORKS = ("encoder", "denoiser", "predictor")
GUIDES = "guides"
CROPS = 32
"""Crops on which a card is measured have sides that are multiples of it: a stride has to divide it."""
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


class Phase(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How one network is trained in one stage.

    Attributes:
        steps: of the optimiser; 0 takes the network as it is.
        batch: patches a step, over all processes.
        patch: side of a training patch, in measurement pixels.
        optimiser: muon, or adam alone.
        lr: peak of the schedule, the stage's `rate` where it is not given; with muon of the convolutions of residual
            blocks.
        adam_lr: with muon, of all other parameters.
        schedule: after the warm-up, a cosine to zero, or constant.
        ema: decay of the weights' moving average, reached by warm-up; the average is what a phase leaves.
    """

    steps: int = 0
    batch: int = 16
    patch: int = 48
    optimiser: Literal["adam", "muon"] = "adam"
    lr: float | None = None
    adam_lr: float | None = None
    schedule: Literal["cosine", "constant"] = "cosine"
    ema: float = 0.999


class DenoiserPhase(Phase, frozen=True, forbid_unknown_fields=True):
    """How the denoiser is trained.

    Attributes:
        patch: in truth pixels.
        unconditional: share of the items; the task's where it is not given.
    """

    patch: int = 96
    unconditional: float | None = None


class GuidesPhase(Phase, frozen=True, forbid_unknown_fields=True):
    """How guides are trained, around a prior that stays as it is.

    Attributes:
        patch: in truth pixels.
        corrupt: share of the items in which a region of one guide is spoilt.
    """

    patch: int = 96
    corrupt: float = 0.5


class Stage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One set of data: the encoder, the denoiser with the encoder frozen, the predictor with both frozen.

    Attributes:
        data: globs under the data root, a folder, `folder@split` of splits.toml beside the recipe, or an archive made
            by `--pack`: photographs or scans.
        validation: held-out files, on which everything in the card is measured.
        licence: terms of the training data, which bind whoever uses the prior; required.
        subjects: how many of the data's subjects are trained on, drawn by the recipe's seed; all by default. Of
            photographs each is its own.
        init_from: of the first stage, the prior whose weights it begins with, by name or file.
        encoder, denoiser, predictor: how each is trained; a network that is left out is taken as it is.
        guides: how guides are trained; then nothing else is.
        clip: gradient norm.
        trainable: what its phases train: all, decoder, norm+bias, or lora:R.
        evaluate: a phase's loss on held-out batches is told every so many steps; 0 is never.
    """

    name: str
    data: list[str] = []
    validation: list[str] = []
    licence: str = ""
    subjects: int | None = None
    init_from: str | None = None
    encoder: Phase = Phase()
    denoiser: DenoiserPhase = DenoiserPhase()
    predictor: Phase = Phase()
    guides: GuidesPhase = GuidesPhase()
    clip: float = 1.0
    trainable: str = "all"
    evaluate: int = 0

    def phases(self) -> dict[str, Phase]:
        """Of the networks that are trained, in their order."""
        return {name: phase for name in (*NETWORKS, GUIDES) if (phase := getattr(self, name)).steps}

    def rate(self, network: str) -> float:
        """Peak of the schedule of a phase, the default of its optimiser and `trainable` where it gives none."""
        phase: Phase = getattr(self, network)
        return default_rate(phase.optimiser, self.trainable) if phase.lr is None else phase.lr


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A prior from nothing but data: the whole recipe.

    Attributes:
        precision: of training: bf16, float32, or auto, bf16 where the hardware computes in it.
        measure: all, or modes alone: what the end measures for the card.
        guides: the networks of guides, where they are what is trained.
    """

    name: str
    task: Task
    stage: list[Stage]
    encoder: EncoderArguments = EncoderArguments()
    denoiser: DenoiserArguments = DenoiserArguments()
    predictor: PredictorArguments | None = None
    seed: int = 0
    precision: Literal["auto", "float32", "bf16"] = "auto"
    measure: Literal["all", "modes"] = "all"
    guides: GuideArguments | None = None

    @property
    def untrained(self) -> list[str]:
        """The networks that no stage trains; a prior needs all of them."""
        there = NETWORKS if self.predictor else NETWORKS[:2]
        return [n for n in there if not any(n in s.phases() for s in self.stage)]


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
    place[last] = [value] if last in ("data", "validation") and isinstance(value, str) else value


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
        "stage.encoder": Phase,
        "stage.denoiser": DenoiserPhase,
        "stage.predictor": Phase,
        "stage.guides": GuidesPhase,
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
    _check(recipe, path)
    return recipe


def _check(recipe: Recipe, path: Path) -> None:
    def demand(holds: bool, sentence: str) -> None:
        if not holds:
            raise InputError(f"Recipe {path}: {sentence}.")

    task = recipe.task
    scales = task.scales
    demand(0 <= recipe.seed < 2**63, f"seed is {recipe.seed}; take a whole number from 0 to 2^63 - 1")
    demand(task.channels in (1, 3), f"channels is {task.channels}; 1 (grey) and 3 (RGB) can be trained")
    demand(bool(scales) and len(set(scales)) == len(scales), "operators must be a list of different factors")
    demand(not task.weights or len(task.weights) == len(scales), "weights needs one number for each operator")
    demand(all(0 < w < math.inf for w in task.weights), "weights must be positive and finite")
    demand(0 <= task.noise[0] <= task.noise[1] <= 1, "noise must be [low, high] within 0 and 1")
    demand(0 <= task.unconditional < 1, "unconditional must be at least 0 and below 1")
    widths, depths = recipe.denoiser.width, recipe.denoiser.depth
    demand(len(widths) == len(depths) > 0, "denoiser.width and denoiser.depth need one number for each level")
    stride = recipe.denoiser.stem * 2 ** (len(widths) - 1)
    demand(
        stride > 0 and CROPS % stride == 0,
        f"denoiser.stem {recipe.denoiser.stem} and {len(widths)} levels make a stride of {stride}, which has to divide "
        f"{CROPS}; take a stem of 1, 2 or 4, and fewer levels",
    )
    sizes = [recipe.encoder.width, recipe.encoder.depth, *widths, *depths, recipe.denoiser.stem]
    if recipe.predictor is not None:
        sizes += [recipe.predictor.width, recipe.predictor.depth]
    demand(min(sizes) > 0 and recipe.encoder.features > 0, "sizes of networks must be positive")
    names = [stage.name for stage in recipe.stage]
    demand(bool(names), "it has no [[stage]]")
    demand(len(set(names)) == len(names), f"stages need names of their own, and these are {', '.join(names)}")
    first = recipe.stage[0]
    ready = set(NETWORKS) if first.init_from is not None else set()  # a parent has trained them
    for stage in recipe.stage:
        demand(
            stage is first or stage.init_from is None,
            f"stage.{stage.name}.init_from: the first stage alone has a parent, and each other begins with the stage "
            "before it",
        )
        demand(
            bool(stage.licence.strip()),
            f"stage.{stage.name}.licence is missing; the licence of the training data binds whoever uses the prior, so "
            "name it",
        )
        demand(bool(stage.phases()), f"stage {stage.name!r} trains nothing; give a network steps")
        for key, what in (("data", "pictures or scans to train on"), ("validation", "held-out pictures or scans")):
            given = [text.strip() for text in getattr(stage, key)]
            demand(bool(given) and all(given), f"stage.{stage.name}.{key} is empty; name {what}")
        fewest = stage.subjects is None or stage.subjects > 0
        demand(fewest, f"stage.{stage.name}.subjects is {stage.subjects}; leave it out to train on all")
        demand(stage.clip > 0, f"stage.{stage.name}.clip must be positive")
        demand(stage.evaluate >= 0, f"stage.{stage.name}.evaluate must be 0 or more")
        longest = max(phase.steps for phase in stage.phases().values())
        demand(
            stage.evaluate <= longest,
            f"stage.{stage.name}.evaluate is {stage.evaluate}, and its longest phase takes {longest} steps: nothing "
            f"would be evaluated; take at most {longest}, or 0 for never",
        )
        unknown = f"stage.{stage.name}.trainable {stage.trainable!r} is not known; known: {WORDS}"
        demand(is_known(stage.trainable), unknown)
        for network in stage.phases():
            where = f"stage.{stage.name}.{network}"
            if network == GUIDES:
                continue
            before = [n for n in NETWORKS[: NETWORKS.index(network)] if n not in ready]
            demand(not before, f"{where} comes before any steps of the {' and the '.join(before)}")
            demand(network != "predictor" or recipe.predictor is not None, f"{where} needs a [predictor] table")
            demand(
                takes(getattr(stage, network).optimiser, stage.trainable, network),
                f"{where}.optimiser 'muon' works on convolutions of residual blocks, of which trainable = "
                f"{stage.trainable!r} leaves none whole in the {network}; take 'adam'",
            )
            ready.add(network)
        for network in (*NETWORKS, GUIDES):
            _check_phase(getattr(stage, network), f"stage.{stage.name}.{network}", demand)
        for network in ("denoiser", GUIDES):
            patch = getattr(stage, network).patch
            demand(
                all(patch % n == 0 for n in (stride, *scales)),
                f"stage.{stage.name}.{network}.patch {patch} must be a multiple of {stride} and of every factor",
            )
    _check_guides(recipe, demand)


def _check_guides(recipe: Recipe, demand: Callable[[bool, str], None]) -> None:
    guides, first = recipe.guides, recipe.stage[0]
    if guides is None:
        for stage in recipe.stage:
            demand(not stage.guides.steps, f"stage.{stage.name}.guides needs a [guides] table")
        return
    alone = len(recipe.stage) == 1 and list(first.phases()) == [GUIDES]
    demand(alone, "it has a [guides] table, and guides are trained alone, in one stage; leave out all other steps")
    where = f"stage.{first.name}"
    demand(first.init_from is not None, f"{where}.init_from is missing; name the prior that is to be guided")
    demand(
        first.trainable == "all", f"{where}.trainable is {first.trainable!r}; guides are trained whole, so leave it out"
    )
    demand(first.guides.optimiser == "adam", f"{where}.guides.optimiser is 'muon'; take 'adam'")
    demand(0 <= first.guides.corrupt <= 1, f"{where}.guides.corrupt must be within 0 and 1")
    names = [guides.target, *guides.modalities]
    demand(len(names) > 1, "guides.modalities is empty; name what guides")
    demand(len(set(names)) == len(names), f"guides.target and guides.modalities are {', '.join(names)}; name each once")
    demand(min(guides.width, guides.depth) > 0, "guides.width and guides.depth must be positive")


def _check_phase(phase: Phase, where: str, demand: Callable[[bool, str], None]) -> None:
    demand(phase.steps >= 0, f"{where}.steps must be 0 or more")
    for key in ("batch", "patch"):
        demand(getattr(phase, key) > 0, f"{where}.{key} must be positive")
    demand(phase.lr is None or 0 < phase.lr < math.inf, f"{where}.lr must be positive and finite")
    demand(phase.adam_lr is None or phase.optimiser == "muon", f"{where}.adam_lr goes with optimiser = 'muon'")
    demand(phase.adam_lr is None or 0 < phase.adam_lr < math.inf, f"{where}.adam_lr must be positive and finite")
    demand(0 <= phase.ema < 1, f"{where}.ema must be at least 0 and below 1")
    if isinstance(phase, DenoiserPhase) and phase.unconditional is not None:
        demand(0 <= phase.unconditional <= 1, f"{where}.unconditional must be within 0 and 1")
