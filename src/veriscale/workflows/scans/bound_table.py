"""The terms of the bound on fused guides, over scans that serve as truth."""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from veriscale.guides.bound import BlockSums, block_sums, bound
from veriscale.guides.guided_prior import GuidedPrior
from veriscale.imaging.volume import Volume
from veriscale.metrics.bootstrap import Interval
from veriscale.metrics.foreground import foreground
from veriscale.workflows.scans.guided_slices import Asked, answers
from veriscale.workflows.scans.in_plane import PreparedSlices
from veriscale.workflows.scans.through_plane import PreparedThrough

BLOCK = 10  # neighbouring slices, which are alike: the unit of resampling


@dataclass
class BoundTable:
    """Sums of blocks by noise level over σ_d, and the terms that follow from them; it is infinite of the mean.

    Attributes:
        modalities: of the guides that are given, the same of every scan.
        blocks: `Asked.level` → the sums of every block of every scan.
    """

    modalities: list[str] = field(default_factory=list)
    blocks: dict[float, list[BlockSums]] = field(default_factory=dict)

    def add(self, work: PreparedSlices | PreparedThrough, truth: Volume) -> None:
        """Ask of all slices of a scan, over the foreground of the truth where every guide is valid.

        Args:
            work: of its measurement, with all the guides that are asked for.
            truth: on the result's grid, in the levels of the measurement.
        """
        prior = work.prior
        assert isinstance(prior, GuidedPrior)  # `evaluate` has checked that there are guides
        self.modalities = list(prior.given)
        which = [m for m, name in enumerate(prior.guide_card.arguments.modalities) if name in prior.given]
        axis = work.volume.slice_axis
        across = axis if isinstance(work, PreparedSlices) else (axis + 1) % 3
        mask = np.moveaxis(foreground(truth.samples), across, 0)
        found: dict[tuple[float, int], list[BlockSums]] = {}
        for asked in answers(work, truth, across, np.flatnonzero(mask.any((1, 2))).tolist()):
            sums = _sums(asked, mask[asked.place], which)
            if sums.places:
                found.setdefault((asked.level, asked.place // BLOCK), []).append(sums)
        for (level, _), each in found.items():
            self.blocks.setdefault(level, []).append(BlockSums(*(sum(column) for column in zip(*each, strict=True))))

    def rows(self) -> list[dict[str, Any]]:
        """For each noise level, the terms with their 95 % intervals as [estimate, low, high], for JSON.

        `level` is σ over σ_d, and None of the mean.
        """
        rows = []
        for level, blocks in self.blocks.items():
            terms = bound(blocks)
            row: dict[str, Any] = {"level": None if math.isinf(level) else level, "blocks": len(blocks)}
            for name in ("weight", "loss"):
                each = zip(self.modalities, getattr(terms, name), strict=True)
                row[name] = {modality: _told(value) for modality, value in each}
            for name in ("covariance", "fused", "ambiguity", "mean_risk", "gap"):
                row[name] = _told(getattr(terms, name))
            rows.append(row)
        return rows


def _sums(asked: Asked, mask: Any, which: list[int]) -> BlockSums:
    answer = asked.answer
    inside = answer.known(which).numpy() & mask[asked.window]
    weights, predictions = answer.weights.numpy()[which], answer.predictions.mean(1).numpy()[which]
    return block_sums(
        weights[:, inside], predictions[:, inside], asked.picture[inside], answer.estimate.mean(0).numpy()[inside]
    )


def _told(value: Interval) -> list[float | None]:
    return [each if math.isfinite(each) else None for each in value]
