"""What JPEG is made of: its colours, its blocks, their cosine transform."""

import math

import torch
from torch import Tensor
from torch.nn import functional

Matrix = tuple[tuple[float, ...], ...]

# ITU-T T.871: full-range BT.601, chroma without its offset of 128.
TO_YCC: Matrix = (
    (0.299, 0.587, 0.114),
    (-0.168735891647856, -0.331264108352144, 0.5),
    (0.5, -0.418687589158345, -0.081312410841655),
)
TO_RGB: Matrix = ((1.0, 0.0, 1.402), (1.0, -0.344136286201022, -0.714136286201022), (1.0, 1.772, 0.0))


def mixed(matrix: Matrix, x: Tensor) -> Tensor:
    """A linear map of the channels, (B, C, H, W)."""
    return torch.einsum("dc,bchw->bdhw", torch.tensor(matrix).to(x), x)


def pad(x: Tensor, multiple: int) -> Tensor:
    """Repeat the last row and column up to a multiple, as libjpeg does."""
    height, width = x.shape[-2:]
    return functional.pad(x, (0, -width % multiple, 0, -height % multiple), mode="replicate")


def blocks(plane: Tensor) -> Tensor:
    """The orthonormal DCT-II of 8×8 blocks: (…, H, W) → (…, H/8, W/8, 8, 8)."""
    *outer, height, width = plane.shape
    dct = _dct(plane)
    return dct @ plane.reshape(*outer, height // 8, 8, width // 8, 8).transpose(-2, -3) @ dct.T


def unblocks(coefficients: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The inverse of `blocks`."""
    dct = _dct(coefficients)
    return (dct.T @ coefficients @ dct).transpose(-2, -3).reshape(shape)


def _dct(like: Tensor) -> Tensor:
    """The DCT-II of 8 values as a matrix: T.81 A.3.3."""
    k = torch.arange(8, dtype=torch.float64)
    rows = torch.cos(math.pi / 8 * k[:, None] * (k + 0.5)) / 2
    rows[0] /= math.sqrt(2)
    return rows.to(like)
