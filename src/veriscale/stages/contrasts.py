"""Slices of several contrasts of one subject at the same place: a target, and what may guide it."""

from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

import numpy as np
from torch import Tensor

from veriscale.errors import InputError, closest
from veriscale.guides.arguments import GuideArguments
from veriscale.imaging.geometry import Affine, spacing_of
from veriscale.imaging.scan_name import split_contrast
from veriscale.stages.data import PictureSet


@dataclass(frozen=True)
class Contrasts:
    """Registered slices.

    Attributes:
        target: the slices of the target's volumes alone.
        places: of each of them, whose volumes it belongs to, and its place in them.
        volumes: (whose, modality) → place → (1, H, W) uint8; empty slices are not there.
        estimates: whose → place → (1, H, W) uint8 each, of the target from thick slices.
    """

    target: PictureSet
    places: list[tuple[str, int]]
    volumes: dict[tuple[str, str], dict[int, Tensor]]
    estimates: dict[str, dict[int, list[Tensor]]] = field(default_factory=dict)


def contrasts_of(data: PictureSet, guides: GuideArguments, where: str) -> Contrasts:
    """Sort a set's slices by contrast.

    A volume's contrast is what follows the last `_` in its file's name, as in `sub-01_T1w.nii.gz`, or the whole name,
    as in `sub-01/T1.nii.gz`; volumes whose names are alike but for it are of one grid.

    Args:
        data: slices of scans.
        guides: names of the target and the modalities.
        where: the data's key in the recipe, for errors.

    Raises:
        InputError: they are photographs, a contrast is nowhere to be found, or volumes of a subject are of other grids.
    """
    if data.stored:
        raise InputError(f"{where} are photographs, and guides are trained on scans of several contrasts; give scans.")
    contrast_of = {volume: _contrast(volume, volume in data.other_planes) for volume in dict.fromkeys(data.volumes)}
    told = [contrast_of[volume] for volume in data.volumes]
    known = sorted({contrast for _, contrast in told})
    for name in (guides.target, *guides.modalities):
        if name not in known:
            raise InputError(f"{where} hold no volume whose name ends with {name!r}; {closest(name, known)}.")
    affines = {each: data.affines[volume] for volume, each in contrast_of.items() if volume in data.affines}
    for (whose, contrast), affine in affines.items():
        target = affines.get((whose, guides.target))
        if contrast in guides.modalities and target is not None and not _alike(affine, target):
            raise InputError(
                f"{contrast} of {whose} in {where} lies elsewhere than {guides.target} by its affine; resample them "
                "to one grid."
            )
    volumes: dict[tuple[str, str], dict[int, Tensor]] = {}
    targets, places = [], []
    for i, (whose, contrast) in enumerate(told):
        k = int(data.names[i].rpartition("#")[2])
        volumes.setdefault((whose, contrast), {})[k] = data.images[i]
        if contrast == guides.target:
            targets.append(i)
            places.append((whose, k))
    for i, (whose, k) in zip(targets, places, strict=True):
        for name in guides.modalities:
            guide = volumes.get((whose, name), {}).get(k)
            if guide is not None and guide.shape != data.images[i].shape:
                sizes = ["×".join(map(str, image.shape[-2:])) for image in (data.images[i], guide)]
                raise InputError(
                    f"{data.names[i]} of {where} is {sizes[0]} and {name} beside it {sizes[1]}; resample them to one "
                    "grid."
                )
    names, subjects, held = ([each[i] for i in targets] for each in (data.names, data.subjects, data.volumes))
    images = [data.images[i] for i in targets]
    return Contrasts(replace(data, images=images, names=names, subjects=subjects, volumes=held), places, volumes)


def _alike(one: Affine, other: Affine) -> bool:
    """Whether two affines are those of one grid but for rounding."""
    least = float(spacing_of(other).min())
    tolerance = np.array([[1e-3, 1e-3, 1e-3, 0.1]]) * least  # over some hundred voxels a tenth of one too
    return bool((np.abs(one - other)[:3] <= tolerance).all())


def _contrast(volume: str, other_plane: bool) -> tuple[str, str]:
    """Whose a volume is, in which plane it was cut, and its contrast, by its name."""
    name, plane = volume.rsplit("#", 1) if other_plane else (volume, "")
    begins, contrast = split_contrast(name)
    return f"{PurePosixPath(name).parent}/{begins}#{plane}", contrast
