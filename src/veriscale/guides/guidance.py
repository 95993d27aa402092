"""What guides say of a picture before anything is known of it: features of experts, and where they are valid."""

from dataclasses import dataclass, replace
from types import EllipsisType
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor

from veriscale.guides.expert import Experts


@dataclass(frozen=True)
class Guidance:
    """Features of all modalities, in whole cells.

    Attributes:
        features: by modality, (B or 1, width, h, w).
        valid: (B or 1, M, H, W) bool, on the truth grid: elsewhere a guide is as if it were not there.
        edges: pixels left, right, above and below by which the picture was padded.
        inside: index of the picture in what is padded.
    """

    features: list[Tensor]
    valid: Tensor
    edges: tuple[int, int, int, int]
    inside: tuple[EllipsisType, slice, slice]

    def inner(self, margin: int) -> Self:
        """Without so many pixels of the truth on every side, of a picture in whole cells; no gradient to experts."""
        n = margin * self.features[0].shape[-1] // self.valid.shape[-1]
        rows, columns = (size - 2 * margin for size in self.valid.shape[-2:])
        return replace(
            self,
            features=[f[..., n : f.shape[-2] - n, n : f.shape[-1] - n].detach() for f in self.features],
            valid=self.valid[..., margin : margin + rows, margin : margin + columns],
            inside=(..., slice(rows), slice(columns)),
        )


def guidance(experts: Experts, guides: Tensor, valid: Tensor, cell: int, origin: tuple[int, int] = (0, 0)) -> Guidance:
    """What experts say of guides.

    Args:
        experts: of all modalities.
        guides: (B or 1, M, H, W) on the truth grid, in [0, 1].
        valid: the same shape, bool.
        cell: pixels of the truth a side that have one weight.
        origin: row and column of the first pixel in the whole picture: cells begin where they do there.
    """
    (top, left), (rows, columns) = (n % cell for n in origin), valid.shape[-2:]
    edges = left, -(left + columns) % cell, top, -(top + rows) % cell
    guides, valid = F.pad(guides, edges, value=torch.nan), F.pad(valid, edges, value=False)
    return Guidance(experts(guides, valid), valid, edges, (..., slice(top, top + rows), slice(left, left + columns)))
