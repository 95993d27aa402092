"""Thick slices: a Gaussian slice profile and decimation along one axis of a volume."""

from dataclasses import dataclass, field, replace
from functools import lru_cache
from math import ceil, log, sqrt
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from veriscale.decimals import shortest
from veriscale.errors import InputError
from veriscale.physics.keys import check_range
from veriscale.physics.operator import Shape
from veriscale.physics.separable import Resampling, Separable, Taps, coarse_size, fine_size

_LARGEST = 1000  # mm
_CUT = 4  # standard deviations after which the profile is zero
_SAME = 1e-6  # relative: spacings that come from float32 affines


@dataclass(frozen=True)
class SliceProfile(Separable):
    """Slices of a Gaussian profile, `step` apart: `slice:fwhm=4,step=4,axis=2`.

    Slice j lies at fine voxel (j + ½)·step/spacing − ½, so that the field of view is kept; edges are symmetric. The
    profile is sampled at the fine voxels and normalised. Usable once `bind` has said what a voxel measures.

    Args:
        fwhm: full width at half maximum of the profile, in mm.
        step: from slice to slice, in mm; at least the fine grid's spacing.
        axis: spatial axis of the array as stored: 0, 1 or 2, which is tensor axis 2 + axis.
        spacing: mm from voxel to voxel along that axis; set by `bind`, no key of the string.
        centred: whether both grids have one middle, as where the fine one was laid over the slices; else slice 0 begins
            where the fine grid does. No key of the string.

    Raises:
        InputError: a value out of range, or a step below the spacing.

    Source: ours, docs/methods.md#physics; a Gaussian profile is the usual model, as in Remedios et al. 2021 (SMORE).
    """

    fwhm: float
    step: float
    axis: int = 2
    spacing: float | None = field(default=None, metadata={"key": False})
    centred: bool = field(default=False, metadata={"key": False})

    name: ClassVar[str] = "slice"

    def __post_init__(self) -> None:
        check_range(self.name, "fwhm", self.fwhm, 0, _LARGEST, above=True)
        check_range(self.name, "step", self.step, 0, _LARGEST, above=True)
        if self.axis not in (0, 1, 2):
            raise InputError(f"Operator '{self.name}': axis={self.axis} is out of range; axis is 0, 1 or 2.")
        if self.spacing is not None and not 0 < self.spacing <= self.step * (1 + _SAME):
            raise InputError(
                f"Operator '{self}': a step of {shortest(self.step)} mm is finer than the grid's "
                f"{self.spacing:g} mm along axis {self.axis}; give a step of at least that."
            )

    @property
    def factor(self) -> float:
        """Fine voxels per step.

        Raises:
            InputError: no grid has been bound.
        """
        if self.spacing is None:
            raise InputError(f"Operator '{self}' is in millimetres; bind it to a volume's grid first.")
        ratio = max(1.0, self.step / self.spacing)
        return float(round(ratio)) if abs(ratio - round(ratio)) < _SAME * ratio else ratio

    def bind(self, affine: NDArray[np.float64]) -> "SliceProfile":
        """The operator on a grid whose voxels `affine` (4, 4) maps to millimetres."""
        spacing = float(np.linalg.norm(np.asarray(affine, np.float64)[:3, self.axis]))
        if not (spacing > 0 and np.isfinite(spacing)):
            raise InputError(f"Operator '{self}': the affine gives no spacing along axis {self.axis}.")
        return replace(self, spacing=spacing)

    def moved(self, affine: NDArray[np.float64]) -> NDArray[np.float64]:
        """The thick grid's affine (4, 4): fine voxel i sits at (i + ½)/factor − ½ of it."""
        coarse = np.array(affine, np.float64)
        coarse[:3, 3] += coarse[:3, self.axis] * (self.factor / 2 - 0.5)
        coarse[:3, self.axis] *= self.factor
        return coarse

    def resamplings(self, shape: Shape) -> dict[int, Resampling]:
        """Of the one axis."""
        place = self._place(shape)
        n_out = self.measurement_shape(shape)[place]
        spacing = self.spacing or 1.0
        std = self.fwhm / sqrt(8 * log(2)) / spacing
        shift = (shape[place] - n_out * self.factor) / 2 if self.centred else 0.0
        return {place - len(shape): _resampling(shape[place], n_out, self.factor, std, shift)}

    def measurement_shape(self, shape: Shape) -> Shape:
        """The axis divided by the factor.

        Raises:
            InputError: no grid is bound, the array has no such axis, or is thinner than one step.
        """
        place = self._place(shape)
        n = coarse_size(shape[place], self.factor)
        if n == 0:
            raise InputError(f"{shape[place]} voxels along axis {self.axis} are too few for {self}.")
        return *shape[:place], n, *shape[place + 1 :]

    def truth_shape(self, shape: Shape) -> Shape:
        """The axis times the factor, rounded."""
        place = self._place(shape)
        return *shape[:place], fine_size(shape[place], self.factor), *shape[place + 1 :]

    def _place(self, shape: Shape) -> int:
        if self.axis + 1 >= len(shape):
            raise InputError(
                f"Operator '{self}': an array of {len(shape) - 1} spatial axes has no axis {self.axis}; "
                f"known: {', '.join(map(str, range(len(shape) - 1)))}."
            )
        return self.axis + 1

    def __str__(self) -> str:
        return f"{self.name}:fwhm={shortest(self.fwhm)},step={shortest(self.step)},axis={self.axis}"


@lru_cache(maxsize=32)
def _resampling(n_in: int, n_out: int, factor: float, std: float, shift: float) -> Resampling:
    return Resampling(_taps(n_in, n_out, factor, std, shift), n_in)


def _taps(n_in: int, n_out: int, factor: float, std: float, shift: float) -> Taps:
    centre = (np.arange(n_out) + 0.5) * factor - 0.5 + shift
    radius = max(1, ceil(_CUT * std))
    index = np.floor(centre).astype(np.int64)[:, None] + np.arange(-radius, radius + 2)
    exponent = -0.5 * ((index - centre[:, None]) / std) ** 2
    # the nearest voxel counts however thin the slice: the largest exponent is 0 before the rest is cut
    exponent -= exponent.max(axis=1, keepdims=True)
    weight = np.where(exponent >= -0.5 * _CUT**2, np.exp(exponent), 0.0)
    weight /= weight.sum(axis=1, keepdims=True)
    period = index % (2 * n_in)  # symmetric edges: … 1 0 | 0 1 2 …
    return np.minimum(period, 2 * n_in - 1 - period), weight
