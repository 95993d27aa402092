"""Blur by a kernel that is the same everywhere."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from veriscale.decimals import shortest
from veriscale.errors import InputError, closest
from veriscale.imaging.picture import content_hash
from veriscale.physics.blur_kernel import gaussian_kernel, read_kernel
from veriscale.physics.keys import check_path, check_range, path_from
from veriscale.physics.operator import LinearOperator, Shape
from veriscale.physics.spectral_norm import spectral_norm

KERNELS = "gaussian", "anisotropic"
BOUNDARIES = "circular", "reflect"
_KEPT = 8  # spectra of kernels


@dataclass(frozen=True)
class Blur(LinearOperator):
    """Convolution of the last two axes: `blur:kernel=gaussian,std=3`, `blur:kernel=anisotropic,std=20x1,angle=45`.

    Gaussians are sampled out to four standard deviations or the picture's size, whichever is less, and normalised; a
    kernel from a file must fit into the picture, and its entry (rows // 2, columns // 2) is its centre. `circular`
    is diagonal in the Fourier domain, and so is its prox without weights. `reflect` (half-sample symmetric edges) is
    solved by conjugate gradients, preconditioned by a circular blur: of the picture and its mirror images, which is
    exact, for a kernel with the symmetries of a rectangle, and of the picture with a margin for others.

    Args:
        kernel: `gaussian`, `anisotropic`, or the path of a NPY file with a 2-D array.
        std: in pixels; for `anisotropic` along × across.
        angle: of the long axis of `anisotropic`, degrees counter-clockwise from the rows' direction.
        boundary: `circular` or `reflect`.

    Raises:
        InputError: unknown names, values out of range, keys that do not go together, or a file that holds no kernel.

    Source: Hansen, Nagy, O'Leary 2006, chapters 3 and 4: boundary conditions and what diagonalises them.
    """

    kernel: str = field(metadata={"file": ".npy"})
    std: float | tuple[float, float] | None = None
    angle: float | None = None
    boundary: str = "circular"
    _taps: NDArray[np.float64] | None = field(default=None, init=False, repr=False, compare=False)
    _sum: float = field(default=1.0, init=False, repr=False, compare=False)
    _transfers: dict[object, Tensor] = field(default_factory=dict, init=False, repr=False, compare=False)
    _norms: dict[Shape, float] = field(default_factory=dict, init=False, repr=False, compare=False)

    name: ClassVar[str] = "blur"
    rcond: ClassVar[float] = 0.1  # what a blur passes by less than a tenth is below the noise of any picture

    def __post_init__(self) -> None:
        if self.boundary not in BOUNDARIES:
            raise InputError(
                f"Operator '{self.name}': unknown boundary {self.boundary!r}; {closest(self.boundary, BOUNDARIES)}."
            )
        if Path(self.kernel).suffix == ".npy":
            check_path(self.name, self.kernel)
            if self.std is not None or self.angle is not None:
                raise InputError(
                    f"Operator '{self.name}': a kernel from a file takes neither std nor angle; leave out."
                )
            taps, total = read_kernel(Path(self.kernel))
            object.__setattr__(self, "_taps", taps)
            object.__setattr__(self, "_sum", total)
        elif self.kernel in KERNELS:
            self._check_gaussian()
        else:
            known = closest(self.kernel, [*KERNELS, "FILE.npy"])
            raise InputError(f"Operator '{self.name}': unknown kernel {self.kernel!r}; {known}.")

    def _check_gaussian(self) -> None:
        both = isinstance(self.std, tuple)
        if self.kernel == "gaussian":
            if self.std is None or both:
                raise InputError(
                    f"Operator '{self.name}': kernel=gaussian needs one standard deviation, such as std=3."
                )
            if self.angle is not None:
                raise InputError(f"Operator '{self.name}': kernel=gaussian takes no angle; kernel=anisotropic does.")
        elif not both:
            raise InputError(f"Operator '{self.name}': kernel=anisotropic needs std=ALONGxACROSS, such as std=20x1.")
        for std in self._stds:
            check_range(self.name, "std", std, 0.05, 1000)
        if self.kernel == "anisotropic":
            object.__setattr__(self, "angle", float(self.angle or 0))
            check_range(self.name, "angle", self.angle or 0, -360, 360)

    @property
    def _stds(self) -> tuple[float, float]:
        return self.std if isinstance(self.std, tuple) else (self.std or 0.0, self.std or 0.0)

    @property
    def notes(self) -> tuple[str, ...]:
        """That the kernel's sum was not 1, where it was not."""
        if abs(self._sum - 1) <= 1e-5:
            return ()
        return (f"The kernel {self.kernel} sums to {self._sum:.6g} and was divided by that",)

    def taps(self, shape: Shape) -> NDArray[np.float64]:
        """The kernel for a picture of `shape`, (rows, columns), its sum 1.

        Raises:
            InputError: it is from a file and larger than the picture.
        """
        height, width = shape[-2:]
        if self._taps is None:
            return gaussian_kernel(self._stds, self.angle or 0.0, height, width)
        rows, columns = self._taps.shape
        if rows > height or columns > width:
            raise InputError(
                f"The kernel {self.kernel} of {columns}×{rows} is larger than the picture of {width}×{height}; "
                "crop the kernel or take a larger picture."
            )
        return self._taps

    def forward(self, x: Tensor) -> Tensor:
        """k ∗ x, (B, C, H, W) → the same shape."""
        if self.boundary == "circular":
            return _filter(x, self._transfer(x))
        height, width = x.shape[-2:]
        top, left = self._margin(x)
        wide = _filter(_mirrored(x, top, left), self._transfer(x, top, left))
        return wide[..., top : top + height, left : left + width]

    def adjoint(self, y: Tensor) -> Tensor:
        """Correlation with k; for `reflect` what the margin collected is folded back."""
        if self.boundary == "circular":
            return _filter(y, self._transfer(y).conj())
        top, left = self._margin(y)
        wide = torch.nn.functional.pad(y, (left, left, top, top))
        return _folded(_filter(wide, self._transfer(y, top, left).conj()), top, left)

    def norm(self, shape: Shape) -> float:
        """‖A‖: the largest gain of a frequency, or by Lanczos for `reflect`."""
        size = 1, *shape[-2:]
        if size not in self._norms:
            if self.boundary == "circular":
                like = torch.zeros(1, *size, dtype=torch.float64)
                self._norms[size] = float(self._transfer(like).abs().max())
            else:
                self._norms[size] = spectral_norm(lambda x: self.adjoint(self.forward(x)), size)
        return self._norms[size]

    def prox(self, v: Tensor, y: Tensor, rho: float, weight: Tensor | None = None) -> Tensor:
        """As `LinearOperator.prox`; closed form for `circular` without weights."""
        if self.boundary != "circular" or weight is not None:
            return super().prox(v, y, rho, weight)
        transfer = self._transfer(v)
        return v + _filter(y - self.forward(v), transfer.conj() / (transfer.abs().square() + rho))

    def precondition(self, r: Tensor, rho: float, weight: Tensor) -> Tensor:
        """The inverse for the mean weight; for `reflect` on a larger grid."""
        mean = weight.expand(r.shape).flatten(1).mean(1).view(-1, *[1] * (r.ndim - 1))
        if self.boundary == "circular":
            return _filter(r, 1 / (mean * self._transfer(r).abs().square() + rho))
        height, width = r.shape[-2:]
        if not self._rectangular((height, width)):
            top, left = self._margin(r)
            wide = torch.nn.functional.pad(r, (left, left, top, top))
            wide = _filter(wide, 1 / (mean * self._transfer(r, top, left).abs().square() + rho))
            return wide[..., top : top + height, left : left + width]
        wide = torch.cat([r, r.flip(-2)], -2)
        wide = torch.cat([wide, wide.flip(-1)], -1)
        # twice the size is a margin of half of it on both sides; where the origin lies does not matter
        gain = mean * self._transfer(r, height / 2, width / 2).abs().square() + rho
        wide = _filter(wide, 1 / gain)
        half = wide[..., :height, :] + wide[..., height:, :].flip(-2)
        return (half[..., :width] + half[..., width:].flip(-1)) / 4

    def _rectangular(self, shape: Shape) -> bool:
        """Whether the kernel is its own mirror image about both axes."""
        taps = self.taps(shape)
        odd = taps.shape[0] % 2 == taps.shape[1] % 2 == 1
        return odd and all(np.allclose(taps, np.flip(taps, axis), 1e-9, 0) for axis in (0, 1))

    def _margin(self, x: Tensor) -> tuple[int, int]:
        rows, columns = self.taps(tuple(x.shape)).shape
        return rows // 2, columns // 2

    def _transfer(self, like: Tensor, top: float = 0, left: float = 0) -> Tensor:
        """The kernel's real FFT on the grid of `like` and a margin around it, complex of the same precision."""
        height, width = like.shape[-2:]
        size = height + round(2 * top), width + round(2 * left)
        key = size, height, width, like.dtype, like.device
        if key not in self._transfers:
            taps = self.taps((height, width))
            grid = np.zeros(size)
            grid[: taps.shape[0], : taps.shape[1]] = taps
            grid = np.roll(grid, (-(taps.shape[0] // 2), -(taps.shape[1] // 2)), (0, 1))
            spectrum = torch.fft.rfft2(torch.from_numpy(grid))
            if len(self._transfers) >= _KEPT:
                self._transfers.clear()
            self._transfers[key] = spectrum.to(like.device, like.dtype.to_complex())
        return self._transfers[key]

    def measurement_shape(self, shape: Shape) -> Shape:
        """The same shape.

        Raises:
            InputError: the kernel is larger than that.
        """
        if self._taps is not None:
            self.taps(shape)
        return shape

    def truth_shape(self, shape: Shape) -> Shape:
        """The same shape; raises as `measurement_shape`."""
        return self.measurement_shape(shape)

    def beside(self, folder: Path) -> "Blur":
        """The same operator with the path of its kernel as seen from `folder`."""
        if self._taps is None:
            return self
        return path_from(self, "kernel", folder)

    @property
    def contents(self) -> tuple[str, ...]:
        """That of its kernel, where it is from a file."""
        return () if self._taps is None else (content_hash(self._taps),)

    def __str__(self) -> str:
        parts = [f"kernel={self.kernel}"]
        if self.std is not None:
            parts.append("std=" + "x".join(map(shortest, self._stds[: 1 + isinstance(self.std, tuple)])))
        if self.angle is not None:
            parts.append(f"angle={shortest(self.angle)}")
        return f"{self.name}:{','.join(parts)},boundary={self.boundary}"


def _filter(x: Tensor, transfer: Tensor) -> Tensor:
    """Multiply the spectrum of the last two axes; `transfer` holds the half that a real FFT gives."""
    filtered: Tensor = torch.fft.irfft2(torch.fft.rfft2(x) * transfer, s=x.shape[-2:])
    return filtered


def _mirrored(x: Tensor, top: int, left: int) -> Tensor:
    """Half-sample symmetric margins, … 1 0 | 0 1 2 …, at most as wide as the picture."""
    height, width = x.shape[-2:]
    x = torch.cat([x[..., :top, :].flip(-2), x, x[..., height - top :, :].flip(-2)], -2)
    return torch.cat([x[..., :left].flip(-1), x, x[..., width - left :].flip(-1)], -1)


def _folded(y: Tensor, top: int, left: int) -> Tensor:
    """The transpose of `_mirrored`."""
    height, width = y.shape[-2] - 2 * top, y.shape[-1] - 2 * left
    x = y[..., top : top + height, :].clone()
    x[..., :top, :] += y[..., :top, :].flip(-2)
    x[..., height - top :, :] += y[..., top + height :, :].flip(-2)
    y, x = x, x[..., left : left + width].clone()
    x[..., :left] += y[..., :left].flip(-1)
    x[..., width - left :] += y[..., left + width :].flip(-1)
    return x
