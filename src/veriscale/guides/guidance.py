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
        valid: (B or 1, M, h / pool, w / pool) bool, by cells: a guide counts where all pixels of a cell are valid
            that are of the picture, and else it is as if it were not there.
        given: of each modality, whether it is valid anywhere; the features of others are 0.
        stride, cell: pixels of the truth a side of a feature and of a cell.
        edges: pixels left, right, above and below by which the picture was padded.
        inside: index of the picture in what is padded.
    """

    features: list[Tensor]
    valid: Tensor
    given: list[bool]
    stride: int
    cell: int
    edges: tuple[int, int, int, int]
    inside: tuple[EllipsisType, slice, slice]

    def inner(self, margin: int) -> Self:
        """Without so many pixels of the truth on every side, which are whole cells; no gradient reaches experts."""
        sides = [n * self.cell - 2 * margin for n in self.valid.shape[-2:]]

        def cut(t: Tensor, pixels: int) -> Tensor:
            first = margin // pixels
            rows, columns = (slice(first, first + n // pixels) for n in sides)
            return t[..., rows, columns]

        return replace(
            self,
            features=[cut(f, self.stride).detach() for f in self.features],
            valid=cut(self.valid, self.cell),
            inside=(..., slice(sides[0]), slice(sides[1])),
        )


def guidance(experts: Experts, guides: Tensor, valid: Tensor, cell: int, origin: tuple[int, int] = (0, 0)) -> Guidance:
    """What experts say of guides.

    Args:
        experts: of all modalities.
        guides: (B or 1, M, H, W) on the truth grid, in [0, 1]; infinite beyond the edges of the picture.
        valid: the same shape, bool.
        cell: pixels of the truth a side that have one weight.
        origin: row and column of the first pixel in the whole picture: cells begin where they do there.
    """
    (top, left), (rows, columns) = (n % cell for n in origin), valid.shape[-2:]
    edges = left, -(left + columns) % cell, top, -(top + rows) % cell
    guides, valid = F.pad(guides, edges, value=torch.inf), F.pad(valid, edges, value=False)
    whole = F.max_pool2d((~valid & ~guides.isinf()).float(), cell) == 0
    given = valid.flatten(2).any(2).any(0).tolist()
    return Guidance(
        experts(guides, valid, given),
        whole & (F.max_pool2d(valid.float(), cell) > 0),
        given,
        experts.stride,
        cell,
        edges,
        (..., slice(top, top + rows), slice(left, left + columns)),
    )
