"""The sets of a recipe's stages: what each trains on and is measured on, named or drawn by the seed."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import NamedTuple

import msgspec
import torch

from veriscale.errors import InputError
from veriscale.stages.archive import packed_part
from veriscale.stages.data import PictureSet, data_root, load
from veriscale.stages.drawn_subjects import drawn, set_aside
from veriscale.stages.patients import patients_of
from veriscale.stages.recipe import Recipe
from veriscale.stages.splits import MANIFEST, drawn_table

MEASURED_ON = "used to measure, not to train"  # in place of a licence


class StageSets(NamedTuple):
    """Of every stage its sets; and who was drawn, as the tables of a manifest, empty where nobody was."""

    training: list[PictureSet]
    validation: list[PictureSet]
    table: str


def stage_sets(recipe: Recipe, path: Path, device: torch.device) -> StageSets:
    """Load and draw the sets of all stages.

    The table has the splits `train`, `validation` and `rest`, who is neither, by the PatientID of DICOM series too, of
    the folders that subjects were drawn from; not of archives, whose parts no split names.

    Args:
        recipe: checked.
        path: of the recipe, beside which its splits lie.
        device: where the tensors go.

    Raises:
        InputError: as `load`, with the key that named the data, `drawn` and `set_aside`; or all planes are asked for
            where no volume is isotropic, or who is held out has no axial slice.
    """
    root = data_root(path)

    @cache
    def pictures(patterns: tuple[str, ...], licence: str, part: str, planes: str) -> PictureSet:
        splits = path.with_name(MANIFEST)
        return load(patterns, root, recipe.task.channels, device, licence, part, splits, planes)

    def named(stage: str, key: str, patterns: list[str], licence: str, part: str, planes: str = "axial") -> PictureSet:
        try:
            return pictures(tuple(patterns), licence, packed_part(patterns, root, stage, part), planes)
        except InputError as error:
            raise InputError(f"stage.{stage}.{key}: {error}") from error

    training, validation = [], []
    folders: list[str] = []
    parted: list[PictureSet] = []
    for stage in recipe.stage:
        where = f"stage.{stage.name}"
        whole = rest = named(stage.name, "data", stage.data, stage.licence, "training", stage.planes)
        if stage.planes == "all" and not whole.other_planes:
            raise InputError(
                f"{where}.planes is 'all', and its data hold no isotropic volume, of one spacing along all axes, which "
                "could be cut otherwise; leave it out."
            )
        if stage.hold_out:
            rest, held = set_aside(whole, stage.hold_out, stage.subjects, recipe.seed, where)
            if flat := set(held.subjects).difference(held.axial.subjects):
                raise InputError(
                    f"Subject {min(flat)!r} of {held.facts.pattern} is held out by {where}.hold_out, which measures "
                    f"axial slices, and has none with anything in it; leave it out, or name {where}.validation."
                )
            held = replace(held.axial, facts=msgspec.structs.replace(held.facts, licence=MEASURED_ON, planes=""))
        else:
            held = named(stage.name, "validation", stage.validation, MEASURED_ON, "validation")
        training.append(drawn(rest, stage.subjects, recipe.seed, f"{where}.subjects"))
        validation.append(held)
        if (stage.hold_out or stage.subjects) and not whole.stored:
            folders += [pattern for pattern in stage.data if not pattern.endswith(".zip")]
            parted.append(whole)
    train, kept = ({s for each in sets for s in each.subjects} for sets in (training, validation))
    patients = patients_of([*training, *validation, *parted])
    neither = {s for each in patients if not each & (train | kept) for s in each}
    splits = {"train": train, "validation": kept, "rest": neither}
    return StageSets(training, validation, drawn_table(folders, root, splits))
