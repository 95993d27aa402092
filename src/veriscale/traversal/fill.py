"""What holes of a picture begin with: the colours around them, coarse where they are wide."""

import torch
from torch import Tensor
from torch.nn import functional


def filled(y: Tensor, seen: Tensor) -> Tensor:
    """y where it is seen, elsewhere what is seen around, from fine to coarse and back.

    Args:
        y: (B, C, H, W).
        seen: (1, 1, H, W) or one per item, 1 where y holds values and 0 elsewhere; not all 0.

    Source: push and pull of Gortler et al. 1996, section 3.
    """
    if bool((seen > 0).all()):
        return y
    if min(y.shape[-2:]) == 1:
        mean = (y * seen).sum((2, 3), keepdim=True) / seen.sum((2, 3), keepdim=True)
        return torch.where(seen > 0, y, mean)
    sides = y.shape[-1] % 2, y.shape[-2] % 2
    values, weights = (
        functional.pad(t, (0, sides[0], 0, sides[1])) for t in (y * seen, seen.expand(len(seen), 1, *y.shape[-2:]))
    )
    total = functional.avg_pool2d(weights, 2)
    mean = functional.avg_pool2d(values, 2) / total.clamp(min=1e-12)
    coarse = filled(mean, (total > 0).to(y))
    fine = functional.interpolate(coarse, scale_factor=2, mode="bilinear", align_corners=False)
    return torch.where(seen > 0, y, fine[..., : y.shape[-2], : y.shape[-1]])
