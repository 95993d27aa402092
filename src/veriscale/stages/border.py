"""Crops of a truth with their surroundings, continued beyond its edge as a measurement of it continues it."""

import torch
from torch import Tensor


def continued(image: Tensor, top: int, left: int, side: int, context: int, scale: int) -> Tensor:
    """A crop and `context` pixels around it, whose measurement is that of the whole inside.

    What lies beyond the edge is the image mirrored there, edge pixels twice (`imaging.resize`): the edge being that of
    a measurement on whose grid the crop lies, so that up to scale − 1 rows and columns at either end are not seen.

    Args:
        image: (..., H, W), at least `side` a side.
        top: first row of the crop, at most H − side.
        left: first column, likewise.
        side: of the crop, a multiple of `scale`.
        context: of any length.
        scale: factor of the measurement.

    Returns:
        (..., side + 2·context, side + 2·context).
    """
    height, width = image.shape[-2:]
    rows, columns = (_mirrored(*axis, side, context, scale) for axis in ((top, height), (left, width)))
    return image[..., rows.to(image.device)[:, None], columns.to(image.device)]


def _mirrored(first: int, length: int, side: int, context: int, scale: int) -> Tensor:
    phase = first % scale
    seen = (length - phase) // scale * scale
    k = torch.arange(first - phase - context, first - phase + side + context) % (2 * seen)
    return phase + torch.minimum(k, 2 * seen - 1 - k)
