"""The operator behind super-resolution: antialiased downsampling."""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import ClassVar

import torch
from torch import Tensor

from veriscale.errors import InputError, closest
from veriscale.imaging import resize
from veriscale.physics.keys import check_range, pair
from veriscale.physics.operator import Shape
from veriscale.physics.separable import Resampling, Separable, coarse_size, fine_size

LARGEST = 64  # the largest factor


@dataclass(frozen=True)
class Downsample(Separable):
    """Resample the last two axes, half-pixel centres and symmetric edges: `downsample:factor=4,kernel=bicubic`.

    A side n becomes the largest m for which m·factor, rounded, is at most n, and what is left at the end is cropped
    from the truth; a side m stands for m·factor, rounded. In between the extent is kept: both grids cover the same.

    Args:
        factor: of rows and columns, in [1, 64]; one number stands for both, `4x1` for rows by columns.
        kernel: a name in `imaging.resize.KERNELS`.
        centred: whether a pixel is exactly `factor` of the truth's and both grids have one middle, as where a spacing
            was asked for; else both cover the same extent. No key of the string.

    Raises:
        InputError: a factor out of range, or an unknown kernel.

    Source: `imaging.resize`, the one definition of the kernels.
    """

    factor: float | tuple[float, float]
    kernel: str = "bicubic"
    centred: bool = field(default=False, metadata={"key": False})

    name: ClassVar[str] = "downsample"

    def __post_init__(self) -> None:
        rows, columns = self.factor if isinstance(self.factor, tuple) else (self.factor, self.factor)
        for factor in (rows, columns):
            check_range(self.name, "factor", factor, 1, LARGEST)
        if self.kernel not in resize.KERNELS:
            raise InputError(
                f"Operator '{self.name}': unknown kernel {self.kernel!r}; {closest(self.kernel, resize.KERNELS)}."
            )
        object.__setattr__(self, "factor", (float(rows), float(columns)))

    @property
    def factors(self) -> tuple[float, float]:
        """Of rows and columns."""
        assert isinstance(self.factor, tuple)  # __post_init__ has made it one
        return self.factor

    @property
    def scale(self) -> int | None:
        """The factor where it is a whole number and the same for both axes."""
        rows, columns = self.factors
        return int(rows) if rows == columns and rows.is_integer() else None

    def resamplings(self, shape: Shape) -> dict[int, Resampling]:
        """Of rows and columns."""
        *_, height, width = self.measurement_shape(shape)
        rows, columns = self.factors if self.centred else (None, None)
        return {
            -2: _resampling(shape[-2], height, self.kernel, rows),
            -1: _resampling(shape[-1], width, self.kernel, columns),
        }

    def measurement_shape(self, shape: Shape) -> Shape:
        """(…, H, W) → (…, h, w).

        Raises:
            InputError: nothing would be left of a side.
        """
        small = tuple(coarse_size(n, f) for n, f in zip(shape[-2:], self.factors, strict=True))
        if 0 in small:
            raise InputError(f"A picture of {shape[-1]}×{shape[-2]} is too small for {self}.")
        return *shape[:-2], *small

    def truth_shape(self, shape: Shape) -> Shape:
        """(…, h, w) → (…, H, W), the sides times the factor, rounded."""
        return *shape[:-2], *(fine_size(n, f) for n, f in zip(shape[-2:], self.factors, strict=True))

    def __str__(self) -> str:
        return f"{self.name}:factor={pair(self.factors)},kernel={self.kernel}"


@lru_cache(maxsize=32)
def _resampling(n_in: int, n_out: int, kernel: str, step: float | None = None) -> Resampling:
    return Resampling(resize.taps(n_in, n_out, kernel, step), n_in)


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
