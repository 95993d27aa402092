"""Masked Fourier measurements: one coil's Cartesian magnetic resonance scan of a real picture."""

from dataclasses import dataclass
from math import sqrt
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from veriscale.decimals import shortest
from veriscale.errors import InputError
from veriscale.physics.keys import check_range, check_seed
from veriscale.physics.masked import random_subset
from veriscale.physics.operator import LinearOperator, Shape


@dataclass(frozen=True)
class Fourier(LinearOperator):
    """Some columns of the unitary 2-D FFT: `fourier:accel=4,centre=0.08,seed=0`.

    y is (…, H, 2W): real parts left and imaginary parts right, in the FFT's own order (frequency 0 first), zeros
    where nothing is measured. The spectrum of a real picture has equal real and opposite imaginary parts at k and −k.
    So AᵀWA multiplies real parts by the mean of M·W over k and −k and imaginary parts by that of theirs, and the
    proximal map is two divisions for any weight, although the mask is not symmetric. ours: docs/methods.md#physics.

    Args:
        accel: one column in `accel` is measured (rounded, at least one), in [1, 64].
        centre: the share of columns, around frequency 0, that are measured all; in [0, 1/accel].
        seed: of the other columns.

    Raises:
        InputError: a value out of range.

    Source: Zbontar et al. 2018 (fastMRI), random Cartesian masks.
    """

    accel: float
    centre: float = 0.08
    seed: int = 0

    name: ClassVar[str] = "fourier"
    picture: ClassVar[bool] = False
    local: ClassVar[bool] = False
    selects: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_range(self.name, "accel", self.accel, 1, 64)
        check_range(self.name, "centre", self.centre, 0, 1)
        if self.centre > 1 / self.accel:
            raise InputError(
                f"Operator '{self.name}': centre={shortest(self.centre)} is more than the 1/{shortest(self.accel)} of "
                f"columns that accel={shortest(self.accel)} leaves; give a smaller centre or accel."
            )
        check_seed(self.name, self.seed)

    def columns(self, width: int) -> NDArray[np.bool_]:
        """(W,), True for the measured columns of the FFT."""
        total = max(1, round(width / self.accel))
        inner = min(round(self.centre * width), total)
        taken = np.zeros(width, np.bool_)
        taken[(width - inner + 1) // 2 : (width - inner + 1) // 2 + inner] = True
        outside = np.flatnonzero(~taken)
        taken[outside[random_subset(len(outside), total - inner, self.seed)]] = True
        return np.fft.ifftshift(taken)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) → (B, C, H, 2W)."""
        spectrum = torch.fft.fft2(x, norm="ortho") * self._mask(x)
        return torch.cat([spectrum.real, spectrum.imag], -1)

    def adjoint(self, y: Tensor) -> Tensor:
        """Re FᴴMy, (B, C, H, 2W) → (B, C, H, W)."""
        real, imaginary = y.chunk(2, -1)
        picture: Tensor = torch.fft.ifft2(torch.complex(real, imaginary) * self._mask(real), norm="ortho").real
        return picture

    def norm(self, shape: Shape) -> float:
        """1 where a column and its mirror image are measured, else √½."""
        columns = self.columns(shape[-1])
        return sqrt(float(np.max(columns + np.roll(columns[::-1], 1).astype(np.float64))) / 2)

    def prox(self, v: Tensor, y: Tensor, rho: float, weight: Tensor | None = None) -> Tensor:
        """As `LinearOperator.prox`; closed form for any weight."""
        w = torch.ones((), dtype=y.dtype, device=y.device) if weight is None else weight
        mask = self._mask(v)
        real, imaginary = (_paired(part * mask) for part in w.expand(y.shape).chunk(2, -1))
        rest = torch.fft.fft2(self.adjoint(w * (y - self.forward(v))), norm="ortho")
        step = torch.complex(rest.real / (real + rho), rest.imag / (imaginary + rho))
        picture: Tensor = torch.fft.ifft2(step, norm="ortho").real
        return v + picture

    def support(self, shape: Shape) -> Tensor | None:
        """Both parts of the measured columns, but for the imaginary parts that are 0 for every real picture."""
        *_, height, width = self.truth_shape(shape)
        measured = torch.from_numpy(self.columns(width)).expand(2, height, width).clone()
        own_mirror = [[0] + [n // 2] * (n % 2 == 0) for n in (height, width)]
        for row in own_mirror[0]:
            measured[1, row, own_mirror[1]] = False
        return torch.cat(list(measured), -1).reshape([1] * (len(shape) - 2) + [height, 2 * width])

    def measurement_shape(self, shape: Shape) -> Shape:
        """(…, W) → (…, 2W)."""
        return *shape[:-1], 2 * shape[-1]

    def truth_shape(self, shape: Shape) -> Shape:
        """(…, 2W) → (…, W).

        Raises:
            InputError: the last axis is odd.
        """
        if shape[-1] % 2:
            raise InputError(
                f"A measurement of {self} holds real and imaginary parts side by side; {shape[-1]} columns are odd."
            )
        return *shape[:-1], shape[-1] // 2

    def _mask(self, like: Tensor) -> Tensor:
        return torch.from_numpy(self.columns(like.shape[-1])).to(like)

    def __str__(self) -> str:
        return f"{self.name}:accel={shortest(self.accel)},centre={shortest(self.centre)},seed={self.seed}"


def _paired(values: Tensor) -> Tensor:
    """The mean of the values at k and −k of the last two axes."""
    return (values + values.flip((-2, -1)).roll((1, 1), (-2, -1))) / 2
