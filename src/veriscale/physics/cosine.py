"""The orthonormal cosine transform of pictures."""

from functools import lru_cache

import torch
from torch import Tensor


def cosine_transform(x: Tensor, inverse: bool = False) -> Tensor:
    """The DCT-II of the last two axes, or its inverse, (…, H, W) → the same shape."""
    rows, columns = (_matrix(n, x.dtype, x.device) for n in x.shape[-2:])
    return rows.T @ x @ columns if inverse else rows @ x @ columns.T


@lru_cache(maxsize=16)
def _matrix(n: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """The orthonormal DCT-II as a matrix (n, n)."""
    k = torch.arange(n, dtype=torch.float64)
    matrix: Tensor = torch.cos(torch.pi / n * k[:, None] * (k + 0.5)) * (2 / n) ** 0.5
    matrix[0] *= 0.5**0.5
    return matrix.to(device=device, dtype=dtype)
