"""The operator behind super-resolution: antialiased downsampling."""

from functools import lru_cache

import torch
from torch import Tensor

from veriscale.imaging import resize


@lru_cache(maxsize=32)
def _interior(size: int, factor: int, kernel: str, device: torch.device) -> Tensor:
    rows = resize.matrix((size + 4) * factor, size + 4, kernel)[2:-2]
    return torch.from_numpy(rows).to(device, torch.float32)


def downsample_interior(x: Tensor, factor: int, kernel: str = "bicubic") -> Tensor:
    """Downsample patches cut from larger pictures, as the whole picture would have been.

    Args:
        x: (B, C, (h + 4)·factor, (w + 4)·factor), the patches with two measurement pixels more on every side.
        factor: an integer.
        kernel: a name in `imaging.resize.KERNELS` with a radius of at most two pixels.

    Returns:
        (B, C, h, w).
    """
    rows = _interior(x.shape[-2] // factor - 4, factor, kernel, x.device)
    columns = _interior(x.shape[-1] // factor - 4, factor, kernel, x.device)
    return rows @ x @ columns.T
