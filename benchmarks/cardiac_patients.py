"""The hearts that the prior `cardiac` is judged by."""

from pathlib import Path

import nibabel
import numpy as np

from few_shot_patients import hearts, other_hearts
from veriscale.imaging.npz import KEY, read_npz

SCALE = 4


def judged(root: Path) -> dict[str, Path]:
    """The test patients by "acdc/patient013", then those of another scanner by "sunnybrook/SCD0000101"."""
    targets = hearts(root), other_hearts(root)
    return {
        f"{target.name}/{file.name.partition('.')[0].partition('_')[0]}": file
        for target in targets
        for file in target.test
    }


def as_scan(archive: Path, folder: Path, slices: int | None = None) -> Path:
    """A patient's archive as a NIfTI file, which commands read; voxels of 1 mm, since nobody knows their size.

    Args:
        archive: of `KEY`.
        folder: in which it is written.
        slices: so many in the middle; all by default.
    """
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
