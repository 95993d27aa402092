"""A prior's parent: the prior whose weights it begins with."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from veriscale.diffusion.card import Ancestor, Card, Network
from veriscale.diffusion.checkpoint import load_checkpoint, read_card
from veriscale.diffusion.library import SUFFIX, find_prior
from veriscale.diffusion.prior import Networks
from veriscale.errors import InputError
from veriscale.imaging.normalisation import PHOTOGRAPH, SCAN
from veriscale.stages.folding import folded
from veriscale.stages.recipe import NETWORKS, Recipe

TABLES = "encoder", "denoiser", "predictor"  # of sizes


@dataclass(frozen=True)
class Parent:
    """The card of a prior that another begins with, and its file."""

    card: Card
    path: Path

    @property
    def lineage(self) -> list[Ancestor]:
        """Of a child: the parent, then the parent's own."""
        c, b = self.card, self.card.budget
        parent = Ancestor(
            name=c.name,
            sha256=c.tensors_sha256,
            channels=c.network.channels,
            scales=c.network.scales,
            training=c.training,
            steps=dict(zip(NETWORKS, (b.encoder_steps, b.denoiser_steps, b.predictor_steps), strict=True)),
            phases=b.phases,
            seconds=b.seconds,
            metrics=c.metrics,
        )
        return [parent, *c.lineage]

    def brought(self, recipe: Recipe) -> list[str]:
        """The recipe's networks that begin with the parent's weights."""
        predicts = recipe.predictor is not None and self.card.network.predictor is not None
        return list(NETWORKS if predicts else NETWORKS[:2])


def lineage_of(parents: Sequence[Parent]) -> list[Ancestor]:
    """Of a child of several: each parent and its own, no one twice."""
    return list({ancestor.sha256: ancestor for parent in parents for ancestor in parent.lineage}.values())


def read_parent(recipe: Recipe, path: Path) -> Parent | None:
    """The parent that the first stage of a recipe names, checked to fit; None where it names none.

    Args:
        recipe: checked.
        path: of the recipe, named in errors.

    Raises:
        InputError: the parent is missing, damaged or somebody's own denoiser, or is of other sizes, channels,
            normalisation or noise; or it lacks a scale that nothing trains the encoder for.
    """
    stage = recipe.stage[0]
    return None if stage.init_from is None else _read(recipe, path, f"stage.{stage.name}", stage.init_from)


def read_givers(recipe: Recipe, path: Path) -> dict[str, Parent]:
    """The priors that phases take their networks from, by the phases' names; checked as `read_parent` checks.

    Raises:
        InputError: as of `read_parent`; or a prior lacks the network.
    """
    found = {}
    for stage in recipe.stage:
        for network, phase in stage.phases().items():
            if phase.init_from is None:
                continue
            where = f"stage.{stage.name}.{network}"
            giver = _read(recipe, path, where, phase.init_from)
            if network not in giver.brought(recipe):
                raise InputError(f"Recipe {path}: {where}.init_from: {giver.card.name!r} has no {network}.")
            found[f"{stage.name}.{network}"] = giver
    return found


def _read(recipe: Recipe, path: Path, table: str, name: str) -> Parent:
    where = f"{table}.init_from"
    if ":" in name and not name.endswith(SUFFIX):
        raise InputError(
            f"Recipe {path}: {where} is {name!r}, somebody's own denoiser; a parent is a prior that `veriscale train` "
            "made, given by its name or file."
        )
    try:
        file = find_prior(name)
        card = read_card(file)
    except InputError as error:
        raise InputError(f"Recipe {path}: {where} is {name!r}, which cannot be a parent: {error}") from error
    sentence = _misfit(recipe, card)
    if sentence:
        raise InputError(f"Recipe {path}: {sentence}.")
    return Parent(card, file)


def _misfit(recipe: Recipe, card: Card) -> str | None:
    """What of a recipe the prior of a card cannot be the parent for."""
    parent, theirs, stage = f"the parent {card.name!r}", card.network, recipe.stage[0]
    if card.normalisation not in (PHOTOGRAPH, SCAN):
        return (
            f"the pictures of {parent} were taken as {card.normalisation!r}, and this version takes them as "
            f"{PHOTOGRAPH!r} or {SCAN!r}; train the parent again with this version"
        )
    if recipe.task.channels > theirs.channels:
        return (
            f"task.channels is {recipe.task.channels} and that of {parent} {theirs.channels}; RGB can be folded to "
            f"grey, and grey to nothing else: write channels = {theirs.channels}"
        )
    for table in TABLES:
        own, other = getattr(recipe, table), getattr(theirs, table)
        for key in own.__struct_fields__ if own is not None and other is not None else ():
            wanted, given = getattr(other, key), getattr(own, key)
            if wanted != given:
                return f"{table}.{key} is {given} and that of {parent} {wanted}; a child has the sizes of its parent"
    known = max((mode.noise_std[-1] for mode in card.modes if mode.scale), default=0.0)
    if recipe.task.scales and recipe.task.noise[1] > known:
        return (
            f"task.noise reaches {recipe.task.noise[1]:g}, and {parent} knows noise up to {known:g}; a child has the "
            "degradation of its parent, so take at most that"
        )
    added = ", ".join(f"×{s}" for s in recipe.task.scales if s not in theirs.scales)
    if added and not stage.encoder.steps:
        return (
            f"{parent} does not know {added}, and the first stage does not train the encoder; give "
            f"stage.{stage.name}.encoder steps, or leave {added} out of task.operators"
        )
    return None


def untrained(recipe: Recipe, parent: Parent | None) -> list[str]:
    """The networks that no stage trains and no parent brings for every scale."""
    if parent is None or set(recipe.task.scales) - set(parent.card.network.scales):
        return recipe.untrained
    return [n for n in recipe.untrained if n not in parent.brought(recipe)]


def inherit(parent: Parent, networks: Networks, network: Network, parts: Sequence[str] = NETWORKS) -> None:
    """Put the parent's weights into networks of the sizes that `read_parent` found to fit.

    RGB is folded to grey, scales go by their factor, and what the parent lacks stays as it is.

    Args:
        parent: whose file is read, tensors alone.
        networks: changed in place.
        network: their sizes.
        parts: which of them.

    Raises:
        InputError: the tensors are damaged.
    """
    prior = load_checkpoint(parent.path, torch.device("cpu"), torch.float32)
    theirs = prior.card.network
    whole = Networks(prior.encoder, prior.denoiser, prior.predictor).parts()
    given = {f"{name}.{k}": v for name, part in whole.items() for k, v in part.state_dict().items()}
    if theirs.channels > network.channels:
        given = {k: folded(k, v, theirs.denoiser.stem) for k, v in given.items()}
    for name in parts:
        part = networks.parts().get(name)
        if part is None:
            continue
        state = {k: given.get(f"{name}.{k}", v) for k, v in part.state_dict().items()}
        if name == "denoiser":
            key = "embedding.mode.weight"
            state[key] = _by_scale(part.state_dict()[key], network.scales, state[key], theirs.scales)
        part.load_state_dict(state)


def _by_scale(own: Tensor, scales: Sequence[int], theirs: Tensor, their_scales: Sequence[int]) -> Tensor:
    """Rows of a table of modes: the unconditional one, then those of scales, where the other has them."""
    rows = own.clone()
    rows[0] = theirs[0]
    for i, scale in enumerate(scales):
        if scale in their_scales:
            rows[1 + i] = theirs[1 + their_scales.index(scale)]
    return rows
