"""What holds for every recipe."""

import math
from collections.abc import Callable
from pathlib import Path

from veriscale.errors import InputError
from veriscale.guides.modalities import EDGES, LABELS
from veriscale.latent.new_networks import AUTOENCODER_GROUPS, UNET_GROUPS
from veriscale.stages.held_out import KNOTS
from veriscale.stages.rates import WORDS, is_known, takes
from veriscale.stages.recipe import GUIDES, LATENT, NETWORKS, DenoiserPhase, Phase, Recipe

CROPS = 32
"""Crops on which a card is measured have sides that are multiples of it: a stride has to divide it."""


def check(recipe: Recipe, path: Path) -> None:
    """Check what is read.

    Args:
        recipe: of a file.
        path: of the file, named in errors.

    Raises:
        InputError: a value is out of range, or values do not go together.
    """

    def demand(holds: bool, sentence: str) -> None:
        if not holds:
            raise InputError(f"Recipe {path}: {sentence}.")

    task = recipe.task
    scales = task.scales
    demand(0 <= recipe.seed < 2**63, f"seed is {recipe.seed}; take a whole number from 0 to 2^63 - 1")
    demand(task.channels in (1, 3), f"channels is {task.channels}; 1 (grey) and 3 (RGB) can be trained")
    demand(bool(scales) or recipe.latent is not None, "task.operators is missing; write it")
    demand(len(set(scales)) == len(scales), "operators must be a list of different factors")
    demand(not task.weights or len(task.weights) == len(scales), "weights needs one number for each operator")
    demand(all(0 < w < math.inf for w in task.weights), "weights must be positive and finite")
    demand(0 <= task.noise[0] <= task.noise[1], "noise must be [low, high], 0 or more")
    demand(
        task.noise[1] <= KNOTS[-1],
        f"task.noise reaches {task.noise[1]:g}, and a prior's card knows noise up to {KNOTS[-1]:g}; take at most that",
    )
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
    for name in names:
        demand(
            bool(name.strip()) and not set(name) & set(".="),
            f"a stage is called {name!r}, by which its keys cannot be set; take a name without . and =, such as target",
        )
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
        demand(stage.hold_out >= 0, f"stage.{stage.name}.hold_out must be 0 or more")
        for key, what in (
            ("data", "name pictures or scans to train on"),
            ("validation", "name held-out pictures or scans, or set `hold_out` to a number of the data's patients"),
        ):
            given = [text.strip() for text in getattr(stage, key)]
            there = bool(given) and all(given)
            drawn = key == "validation" and not given and stage.hold_out > 0
            demand(there or drawn, f"stage.{stage.name}.{key} is empty; {what}")
        demand(
            not (stage.validation and stage.hold_out),
            f"stage.{stage.name} has validation and hold_out, which both say who is held out; leave one of them out",
        )
        demand(
            not (stage.hold_out and any(pattern.endswith(".zip") for pattern in stage.data)),
            f"stage.{stage.name}.hold_out sets files aside, and its data are an archive; name the archive in "
            f"stage.{stage.name}.validation too, which takes the part that was packed as such",
        )
        fewest = stage.subjects is None or stage.subjects > 0
        demand(fewest, f"stage.{stage.name}.subjects is {stage.subjects}; leave it out to train on all")
        demand(stage.clip > 0, f"stage.{stage.name}.clip must be positive")
        demand(stage.evaluate >= 0, f"stage.{stage.name}.evaluate must be 0 or more")
        demand(stage.patience >= 0, f"stage.{stage.name}.patience must be 0 or more")
        demand(
            not stage.patience or stage.evaluate > 0,
            f"stage.{stage.name}.patience is {stage.patience} evaluations, and evaluate is 0; set it to a number of "
            "steps",
        )
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
            if network in (GUIDES, *LATENT):
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
        for network in (*NETWORKS, GUIDES, *LATENT):
            _check_phase(getattr(stage, network), f"stage.{stage.name}.{network}", demand)
        for network in ("denoiser", GUIDES):
            patch = getattr(stage, network).patch
            demand(
                all(patch % n == 0 for n in (stride, *scales)),
                f"stage.{stage.name}.{network}.patch {patch} must be a multiple of {stride} and of every factor",
            )
    _check_guides(recipe, demand)
    _check_latent(recipe, demand)


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
    demand(not first.patience, f"{where}.patience is for networks of a prior; leave it out where guides are trained")
    demand(0 <= first.guides.corrupt <= 1, f"{where}.guides.corrupt must be within 0 and 1")
    demand(first.guides.batch > 1, f"{where}.guides.batch must be 2 or more: every other item teaches the gate")
    names = [guides.target, *guides.modalities]
    demand(len(names) > 1, "guides.modalities is empty; name what guides")
    demand(len(set(names)) == len(names), f"guides.target and guides.modalities are {', '.join(names)}; name each once")
    made = [name for name in names if name.casefold() in (EDGES, LABELS)]
    demand(
        not made,
        f"guides.target and guides.modalities are {', '.join(names)}, and of what is called {' or '.join(made)} a "
        "restoration takes edges or boundaries, which no recipe trains on; leave it out",
    )
    demand(
        min(guides.width, guides.depth, *guides.blocks) > 0,
        "guides.width, guides.depth and guides.blocks must be positive",
    )


def _check_latent(recipe: Recipe, demand: Callable[[bool, str], None]) -> None:
    latent, first = recipe.latent, recipe.stage[0]
    if latent is None:
        for stage in recipe.stage:
            demand(
                not stage.autoencoder.steps and not stage.unet.steps,
                f"stage.{stage.name} trains an autoencoder or a unet, which needs a [latent] table",
            )
        return
    where, trained = f"stage.{first.name}", [*LATENT] if latent.autoencoder else [LATENT[1]]
    alone = len(recipe.stage) == 1 and list(first.phases()) == trained
    demand(
        alone,
        f"it has a [latent] table, so that one stage trains the {' and the '.join(trained)} and nothing else; give "
        "steps to these alone",
    )
    demand(
        first.init_from is None, f"{where}.init_from is for priors; networks of [latent] begin anew, so leave it out"
    )
    demand(first.trainable == "all", f"{where}.trainable is for networks of a prior; leave it out")
    demand(not first.patience, f"{where}.patience is for networks of a prior; leave it out")
    for network in trained:
        phase: Phase = getattr(first, network)
        multiple = latent.multiple if network == "unet" else latent.factor
        demand(phase.patch % multiple == 0, f"{where}.{network}.patch {phase.patch} must be a multiple of {multiple}")
    demand(
        not (latent.autoencoder and latent.encoded_by),
        "latent.autoencoder and latent.encoded_by are two autoencoders; leave one out",
    )
    demand(
        recipe.task.channels == 3 or latent.encoded_by is None,
        "latent.encoded_by is an autoencoder of colour, and task.channels is not 3; leave it out",
    )
    for key, groups in (("autoencoder", AUTOENCODER_GROUPS), ("unet", UNET_GROUPS)):
        widths = getattr(latent, key)
        demand(all(w > 0 and w % groups == 0 for w in widths), f"latent.{key} must be multiples of {groups}")
    demand(bool(latent.unet) and latent.channels > 0, "latent.unet needs a width a level, and latent.channels a number")


def _check_phase(phase: Phase, where: str, demand: Callable[[bool, str], None]) -> None:
    demand(phase.steps >= 0, f"{where}.steps must be 0 or more")
    for key in ("batch", "patch"):
        demand(getattr(phase, key) > 0, f"{where}.{key} must be positive")
    demand(phase.lr is None or 0 < phase.lr < math.inf, f"{where}.lr must be positive and finite")
    demand(phase.adam_lr is None or phase.optimiser == "muon", f"{where}.adam_lr goes with optimiser = 'muon'")
    demand(phase.adam_lr is None or 0 < phase.adam_lr < math.inf, f"{where}.adam_lr must be positive and finite")
    demand(0 <= phase.ema < 1, f"{where}.ema must be at least 0 and below 1")
    of_prior = where.rpartition(".")[2] in NETWORKS
    given = phase.init_from is None or (phase.steps > 0 and of_prior)
    demand(given, f"{where}.init_from is for a network of a prior that the stage trains; leave it out")
    if isinstance(phase, DenoiserPhase) and phase.unconditional is not None:
        demand(0 <= phase.unconditional <= 1, f"{where}.unconditional must be within 0 and 1")
