"""The guides of a scan, on the voxels of its result."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from veriscale.diffusion.prior import Prior
from veriscale.errors import InputError
from veriscale.guides.guided_prior import GuidedPrior
from veriscale.guides.modalities import picture_on
from veriscale.imaging.geometry import Grid
from veriscale.imaging.volume import Volume

_ALL = 0.995  # of the result's voxels; from there on a guide counts as known everywhere


@dataclass(frozen=True, eq=False)
class Guide:
    """One guide of one scan.

    Attributes:
        modality: its name, as the file of guides spells it.
        volume: with levels of its own; NaN where nothing is known.
        sha256: of its file, or of its samples where there is none; "auto" where it is made of the measurement.
    """

    modality: str
    volume: Volume
    sha256: str


def guided(prior: Prior, guides: Sequence[Guide], grid: Grid) -> Prior:
    """The prior of a result with guides; itself without any.

    Args:
        prior: one that takes them.
        guides: of the scan.
        grid: of the result.

    Raises:
        InputError: one lies nowhere on the result.
    """
    if not guides or not isinstance(prior, GuidedPrior):
        return prior
    pictures = {}
    for guide in guides:
        picture = picture_on(guide.modality, guide.volume, grid)
        if not np.isfinite(picture).any():
            raise InputError(
                f"The guide {guide.modality} has no overlap with the scan: their fields of view lie apart; give one of "
                "the same place, or leave it out."
            )
        pictures[guide.modality] = torch.from_numpy(picture)[None]
    return prior.guided_by(pictures)


def uncovered(prior: Prior) -> list[str]:
    """A sentence for every guide of a volume that is not known everywhere."""
    if not isinstance(prior, GuidedPrior) or prior.pictures is None:
        return []
    share = dict(
        zip(
            prior.guide_card.arguments.modalities,
            prior.pictures[0].isfinite().float().flatten(1).mean(1).tolist(),
            strict=True,
        )
    )
    return [
        f"The guide {name} is known on {share[name]:.0%} of the result's voxels, and does nothing elsewhere."
        for name in prior.given
        if share[name] < _ALL
    ]
