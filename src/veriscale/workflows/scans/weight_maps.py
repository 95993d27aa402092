"""Where each guide counted in one picture of a restored scan, for its page."""

import math

from veriscale.guides.guided_prior import GuidedPrior
from veriscale.imaging.geometry import spacing_of
from veriscale.imaging.volume import Volume
from veriscale.report.weight_table import LevelMaps
from veriscale.workflows.scans.guided_slices import answers
from veriscale.workflows.scans.in_plane import PreparedSlices
from veriscale.workflows.scans.through_plane import PreparedThrough

AMOUNT = "amount of all"


def weight_maps(work: PreparedSlices | PreparedThrough, image: Volume) -> list[LevelMaps]:
    """Weights and amount at each noise level, of the picture in the middle; nothing without guides.

    Pictures are turned as the page shows planes: right is on the left, and head or front above.

    Args:
        work: that the scan was restored by.
        image: the result.

    Source: ours, docs/methods.md#guides-in-use
    """
    prior = work.prior
    if not isinstance(prior, GuidedPrior) or prior.pictures is None:
        return []
    axis = work.volume.slice_axis
    across = axis if isinstance(work, PreparedSlices) else (axis + 1) % 3
    spacing = [float(s) for k, s in enumerate(spacing_of(image.affine)) if k != across]
    found = []
    for asked in answers(work, image, across, [image.shape[across] // 2], restored=True):
        weights = dict(zip(prior.guide_card.arguments.modalities, asked.answer.weights.numpy(), strict=True))
        maps = {name: weights[name] for name in prior.weighed} | {AMOUNT: asked.answer.amount.numpy()}
        level = "the anchor" if math.isinf(asked.sigma) else f"noise level {asked.sigma:.3g}"
        width, height = (n * s for n, s in zip(asked.picture.shape, spacing, strict=True))
        found.append(LevelMaps(level, {name: m.T[::-1, ::-1] for name, m in maps.items()}, height / width))
    return found
