"""The hearts that the prior `cardiac` is judged by, and those that it is certified with."""

import os
import tomllib
from pathlib import Path

import nibabel
import numpy as np
import torch

from few_shot_patients import hearts, other_hearts
from pictures import DATA
from results import ROOT
from veriscale.imaging.npz import KEY, read_npz
from veriscale.stages.recipe_file import read_recipe
from veriscale.stages.stage_sets import stage_sets

RECIPE = ROOT / "recipes" / "cardiac.toml"
SCALE = 4


def judged(root: Path) -> dict[str, Path]:
    """The test patients by "acdc/patient013", then those of another scanner by "sunnybrook/SCD0000101"."""
    targets = hearts(root), other_hearts(root)
    return {
        f"{target.name}/{file.name.partition('.')[0].partition('_')[0]}": file
        for target in targets
        for file in target.test
    }


def spared(root: Path) -> list[Path]:
    """Those of the pool whom the recipe did not draw."""
    os.environ.setdefault("VERISCALE_DATA", str(DATA.parent))
    (drawn,) = tomllib.loads(stage_sets(read_recipe(RECIPE), RECIPE, torch.device("cpu")).table).values()
    return sorted(file for members in hearts(root).pool.values() for file in members if file.stem in drawn["rest"])


def as_scan(archive: Path, folder: Path, slices: int | None = None) -> Path:
    """A patient's archive as a NIfTI file, which commands read; voxels of 1 mm, since nobody knows their size.

    Args:
        archive: of `KEY`.
        folder: made where it is not there.
        slices: so many in the middle; all by default.
    """
    folder.mkdir(parents=True, exist_ok=True)
    values = np.moveaxis(read_npz(archive)[KEY], 0, 2)
    path = folder / f"{archive.stem}.nii"
    kept = values[..., middle(values.shape[2], slices)]
    nibabel.Nifti1Image(kept, np.eye(4), dtype=values.dtype).to_filename(path)
    return path


def middle(depth: int, slices: int | None) -> list[int]:
    """Places of so many slices in the middle, or of all."""
    count = depth if slices is None else min(slices, depth)
    first = (depth - count) // 2
    return list(range(first, first + count))
