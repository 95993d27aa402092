"""Whom the study of few subjects trains on, tunes with and is judged by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from results import ROOT
from veriscale.imaging.npz import KEY, read_npz
from veriscale.metrics.perception import SMALLEST
from veriscale.stages.batches import key
from veriscale.stages.splits import select

MANIFEST = ROOT / "recipes" / "splits.toml"
HELD_OUT = {"validation": 4, "test": 30}
"""Hippocampus crops, the last by number: neighbours by number, who may be one person, mostly lie on one side."""


@dataclass(frozen=True)
class Target:
    """A small set of scans that a prior is wanted for.

    Attributes:
        name: in the ids of rows.
        scale: factor that is restored.
        test: files of whom everything is reported.
        validation: files of whom rates are chosen, and σ_d is measured.
        pool: group → files of whom patients are drawn.
        settings: of the recipe, beside those of a run.
    """

    name: str
    scale: int
    test: Sequence[Path]
    validation: Sequence[Path] = ()
    pool: Mapping[str, Sequence[Path]] = field(default_factory=dict)
    settings: Sequence[str] = ()


def drawn(pool: Mapping[str, Sequence[Path]], count: int, draw: int) -> list[Path]:
    """So many patients, equally many of each group.

    Every patient has a place of its own in a draw's order, so that fewer are part of more and draws differ freely.

    Raises:
        ValueError: the groups cannot give equally many.
    """
    each, rest = divmod(count, len(pool))
    if rest or any(each > len(members) for members in pool.values()):
        sizes = ", ".join(f"{len(members)} of {group}" for group, members in pool.items())
        raise ValueError(f"{count} patients cannot be drawn evenly from {sizes}")
    return sorted(
        file
        for members in pool.values()
        for file in sorted(members, key=lambda file: key(draw, "patient", file.stem))[:each]
    )


def hearts(root: Path) -> Target:
    """Hearts at the end of diastole, by the splits of the recipes, whose hashes are checked; five groups."""
    files = {
        split: [found.path for found in select([f"mri/cardiac/acdc@{split}"], root, MANIFEST)]
        for split in ("pool", "validation", "test")
    }
    pool: dict[str, list[Path]] = {}
    for file in files["pool"]:
        with np.load(file) as archive:
            pool.setdefault(str(archive["group"]), []).append(file)
    return Target("acdc", 4, files["test"], files["validation"], pool)


def other_hearts(root: Path) -> Target:
    """Hearts of another scanner, which no run is trained on or tuned with."""
    files = sorted((root / "mri" / "cardiac" / "sunnybrook").glob("*_phase00.nii.gz"))
    if not files:
        raise SystemExit(f"{root / 'mri'} holds no cardiac/sunnybrook; set VERISCALE_DATA")
    return Target("sunnybrook", 4, files)


def hippocampi(root: Path, folder: Path) -> Target:
    """Crops of T1 around a hippocampus, a file each in `folder`, since a recipe names files; whose they are is unknown.

    They are smaller than a patch of the recipe. Those for validation are large enough to measure σ_d on; smaller ones
    between them and the others are left out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for name, values in sorted(read_npz(root / "mri" / "domain" / "hippocampus_t1.npz").items()):
        path = folder / f"crop{name.rpartition('_')[2]}.npz"  # what stands before an underscore would be the subject
        if not path.exists():
            np.savez(path, **{KEY: values})
        files.append(path)
    others, test = files[: -HELD_OUT["test"]], files[-HELD_OUT["test"] :]
    large = [file for file in others if min(read_npz(file)[KEY].shape[1:]) >= SMALLEST]
    validation = large[-HELD_OUT["validation"] :]
    pool = others[: others.index(validation[0])]
    settings = (
        'task.operators=["downsample:factor=2"]',
        "task.weights=[1]",
        "stage.target.encoder.patch=12",
        "stage.target.denoiser.patch=24",
    )
    return Target("hippocampus", 2, test, validation, {"crops": pool}, settings)
