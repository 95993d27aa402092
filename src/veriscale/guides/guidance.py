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
        valid: (B or 1, M, h / pool, w / pool) bool, by cells: a guide counts where all pixels of a cell are valid, and
            else it is as if it were not there.
        given: of each modality, whether it is valid anywhere; the features of others are 0.
        stride, cell: pixels of the truth a side of a feature and of a cell.
        edges: pixels left, right, above and below by which the picture was continued.
        inside: index of the picture in what is continued.
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
        sides = [n * self.cell for n in self.valid.shape[-2:]]

        def cut(t: Tensor, pixels: int) -> Tensor:
            rows, columns = (slice(margin // pixels, (n - margin) // pixels) for n in sides)
            return t[..., rows, columns]

        def still(inside: slice, n: int) -> slice:
            return slice(max(inside.start, margin) - margin, min(inside.stop, n - margin) - margin)

        rows, columns = (still(of, n) for of, n in zip(self.inside[1:], sides, strict=True))
        left, right, top, bottom = (max(0, edge - margin) for edge in self.edges)
        return replace(
            self,
            features=[cut(f, self.stride).detach() for f in self.features],
            valid=cut(self.valid, self.cell),
            edges=(left, right, top, bottom),
            inside=(..., rows, columns),
        )


def guidance(
    experts: Experts, guides: Tensor, valid: Tensor, cell: int, origin: tuple[int, int] = (0, 0), context: int = 0
) -> Guidance:
    """What experts say of guides.

    Args:
        experts: of all modalities.
        guides: (B or 1, M, H, W) on the truth grid, in [0, 1].
        valid: the same shape, bool.
        cell: pixels of the truth a side that have one weight.
        origin: row and column of the first pixel in the whole picture: cells begin where they do there.
        context: pixels of the truth, whole cells, by which guides go on beyond every edge, mirrored there.
    """
    (top, left), (rows, columns) = (n % cell + context for n in origin), valid.shape[-2:]
    edges = left, -(left + columns) % cell + context, top, -(top + rows) % cell + context
    guides, valid = mirrored(guides, edges), mirrored(valid, edges)
    given = valid.flatten(2).any(2).any(0).tolist()
    return Guidance(
        experts(guides, valid, given),
        F.max_pool2d((~valid).float(), cell) == 0,
        given,
        experts.stride,
        cell,
        edges,
        (..., slice(top, top + rows), slice(left, left + columns)),
    )


def mirrored(t: Tensor, edges: tuple[int, int, int, int]) -> Tensor:
    """(..., H, W) continued left, right, above and below by its mirror image, edge pixels twice, as in training."""
    left, right, top, bottom = edges
    if not any(edges):
        return t

    def along(n: int, before: int, after: int) -> Tensor:
        k = torch.arange(-before, n + after, device=t.device) % (2 * n)
        return torch.minimum(k, 2 * n - 1 - k)

    rows, columns = along(t.shape[-2], top, bottom), along(t.shape[-1], left, right)
    return t[..., rows[:, None], columns]
