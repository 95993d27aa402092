"""What a training state came from, and whether a recipe still says the same."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from veriscale.errors import InputError
from veriscale.stages.data import PictureSet
from veriscale.stages.inheritance import Parent
from veriscale.stages.recipe import Recipe


def phase_names(recipe: Recipe) -> list[str]:
    """All phases in their order, as STAGE.NETWORK."""
    return [f"{stage.name}.{network}" for stage in recipe.stage for network in stage.phases()]


def provenance(
    recipe: Recipe,
    training: list[PictureSet],
    validation: list[PictureSet],
    phases: list[str],
    parent: Parent | None = None,
    givers: Mapping[str, Parent] = {},
) -> dict[str, Any]:
    """Everything that the outcome of some phases hangs on, under the names that `--set` gives it.

    Args:
        recipe: of all phases.
        training: the pictures of every stage.
        validation: those that each is evaluated on.
        phases: the first ones of `phase_names`.
        parent: of the first stage.
        givers: of `read_givers`.
    """
    begins = {} if parent is None else {"init_from": parent.card.tensors_sha256, "inherited": parent.brought(recipe)}
    facts: dict[str, Any] = {**begins, "seed": recipe.seed, "phases": phases}
    if recipe.precision != "auto":  # what a recipe leaves at its default is not said: older states do not know of it
        facts["precision"] = recipe.precision
    predicts = any(name.endswith(".predictor") for name in phases)
    tables: dict[str, Any] = {"task": recipe.task, "encoder": recipe.encoder, "denoiser": recipe.denoiser}
    tables |= {"predictor": recipe.predictor} if predicts else {}
    tables |= {} if recipe.guides is None else {"guides": recipe.guides}
    tables |= {} if recipe.latent is None else {"latent": recipe.latent}
    for stage, pictures, held_out in zip(recipe.stage, training, validation, strict=True):
        for network, phase in stage.phases().items():
            name = f"{stage.name}.{network}"
            if name in phases:
                giver = givers[name].card.tensors_sha256 if name in givers else None
                rate = stage.rate(network)
                tables[f"stage.{name}"] = msgspec.structs.replace(phase, lr=rate, init_from=giver)
                facts[f"stage.{stage.name}.data"] = pictures.facts.sha256
                facts[f"stage.{stage.name}.clip"] = stage.clip
                if stage.subjects is not None:
                    facts[f"stage.{stage.name}.subjects"] = stage.subjects
                if stage.planes != "axial":
                    facts[f"stage.{stage.name}.planes"] = stage.planes
                if stage.hold_out:
                    facts[f"stage.{stage.name}.hold_out"] = stage.hold_out
                if stage.patience:  # the held-out pictures decide what is kept
                    facts[f"stage.{stage.name}.patience"] = stage.patience
                    facts[f"stage.{stage.name}.evaluate"] = stage.evaluate
                    facts[f"stage.{stage.name}.validation"] = held_out.facts.sha256
                if stage.trainable != "all":
                    facts[f"stage.{stage.name}.trainable"] = stage.trainable
    for table, value in tables.items():
        fields = msgspec.json.decode(msgspec.json.encode(value))
        facts |= {f"{table}.{key}": v for key, v in fields.items()}
    return facts


def refuse_changes(
    saved: Any,
    step: int,
    recipe: Recipe,
    training: list[PictureSet],
    validation: list[PictureSet],
    state: Path,
    parent: Parent | None = None,
    givers: Mapping[str, Parent] = {},
) -> None:
    """Check that what a state was made by is still the beginning of the recipe; what comes after it is free.

    Free are also the steps of a phase at a constant rate that is under way: they do not enter what was done so far.

    Args:
        saved: the state's `provenance`.
        step: of its last phase, as far as it was done.
        recipe: as it is now.
        training: the pictures of every stage.
        validation: those that each is evaluated on.
        state: named in the error.
        parent: of the first stage, as it is now.
        givers: of `read_givers`, as they are now.

    Raises:
        InputError: they differ; names the first thing that does.
    """
    if not isinstance(saved, dict):
        raise InputError(f"Training state {state} is of an earlier version; delete it to start again.")
    names = phase_names(recipe)
    now = provenance(recipe, training, validation, names[: len(saved.get("phases", []))], parent, givers)
    last = f"stage.{saved['phases'][-1]}"
    for key in saved | now:
        before = saved.get(key)
        if now.get(key) == before:
            continue
        constant = key == f"{last}.steps" and now.get(f"{last}.schedule") == "constant"
        if constant and isinstance(before, int) and step < min(before, now[key]):
            continue
        how = f"{key} was {_said(before)} and is {_said(now.get(key))}"
        if key.endswith((".data", ".validation")):
            how = f"the pictures of {key} are others"
        elif key == "init_from":
            was = "none" if before is None else f"one of sha256 {str(before)[:12]}"
            found = "none" if parent is None else f"{parent.card.name!r} of sha256 {parent.card.tensors_sha256[:12]}"
            how = f"the parent (init_from) was {was} and is {found}"
        elif key == "inherited":
            how = f"its parent gave it {_said(before)}, and would give it {_said(now.get(key))}"
        raise InputError(
            f"Training state {state} is of another recipe: {how}; add a stage instead, or delete the state to start "
            "again."
        )


def _said(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else "not set" if value is None else str(value)
