"""A scan: samples in space with what must survive from file to file."""

from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from veriscale.errors import InputError
from veriscale.imaging.geometry import Affine, Grid, Shape, spacing_of
from veriscale.imaging.normalisation import Levels, levels_of
from veriscale.imaging.orientation import Orientation
from veriscale.imaging.picture import content_hash
from veriscale.imaging.stored_numbers import StoredNumbers

Array = NDArray[np.float32]

_LEAST_ROUNDING = 1e-4  # of floating point: below it the anchor of a linear operator can follow float32's own errors


class Origin(Protocol):
    """What a volume's file needs so that a result can be written like it; one class for each kind of file."""

    @property
    def orientation(self) -> Orientation:
        """Of the stored axes."""

    @property
    def slice_axis(self) -> int:
        """The stored axis from slice to slice: 0, 1 or 2."""

    @property
    def stored(self) -> StoredNumbers:
        """The numbers of a result's file."""

    @property
    def step(self) -> float:
        """Between neighbours of the numbers that were read, in the scan's units; 0 of floating point."""


@dataclass(frozen=True, eq=False)
class Volume:
    """One scan of three dimensions in canonical axes: nearest to right, anterior, superior.

    Printed it does not tell whose it is: its file's header, which may, is left out.

    Attributes:
        samples: (X, Y, Z) float32; 0 and 1 are its `levels`, and what lies beyond them is not clipped.
        affine: (4, 4), voxels to millimetres (RAS).
        levels: what 0 and 1 are in the scan's own units.
        origin: of its file.
    """

    samples: Array
    affine: Affine
    levels: Levels
    origin: Origin

    def __repr__(self) -> str:
        size, spacing = (" × ".join(f"{each:g}" for each in row) for row in (self.shape, self.spacing))
        return f"Volume of {size} voxels of {spacing} mm, 0 and 1 being {self.levels.low:g} and {self.levels.high:g}"

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        """(X, Y, Z), as `values` gives them."""
        return np.array(self.values(), dtype, copy=copy)

    @property
    def channels(self) -> int:
        """1."""
        return 1

    @property
    def shape(self) -> Shape:
        """(X, Y, Z)."""
        x, y, z = self.samples.shape
        return x, y, z

    @property
    def grid(self) -> Grid:
        """Its voxels in space."""
        return Grid(self.affine, self.shape)

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Millimetres from voxel to voxel along X, Y, Z."""
        x, y, z = spacing_of(self.affine).tolist()
        return x, y, z

    @property
    def slice_axis(self) -> int:
        """The axis from slice to slice, 0, 1 or 2: the file's third, or the one that its header says."""
        return self.origin.orientation.axes.index(self.origin.slice_axis)

    @property
    def rounding(self) -> float:
        """Standard deviation of the samples' rounding in the file that they were read from, at least 1e-4."""
        return max(self.origin.step / self.levels.width / 12**0.5, _LEAST_ROUNDING)

    def content(self) -> str:
        """A hash of the samples: two scans do not share their noise."""
        return content_hash(self.samples)

    def planes(self, channels: int | None = None) -> Array:
        """(C, X, Y, Z), so many copies of the samples; one by default."""
        return np.repeat(self.samples[None], channels or 1, axis=0)

    def own(self, planes: Array, shape: tuple[int, ...]) -> Array:
        """Planes (C', X', Y', Z') cut to `shape` (X, Y, Z) and averaged, (1, X, Y, Z)."""
        cut = planes[:, : shape[0], : shape[1], : shape[2]]
        return cut if len(cut) == 1 else cut.mean(axis=0, keepdims=True, dtype=np.float32)

    def like(self, planes: Array, affine: Affine) -> "Volume":
        """A volume of planes (C', X', Y', Z') on a grid of its own, with this one's levels and origin."""
        return replace(self, samples=self.own(planes, planes.shape[1:])[0], affine=affine)

    def values(self) -> NDArray[np.float64]:
        """(X, Y, Z), in the scan's own units."""
        return self.levels.undone(self.samples)

    def relevelled(self) -> "Volume":
        """The same values with levels of their own, as they are read from a file of them.

        Raises:
            InputError: as `normalisation.levels_of`.
        """
        values = self.values()
        levels = levels_of(values, "the volume")
        return replace(self, samples=levels.applied(values), levels=levels)


def volume_of(numbers: NDArray[Any], affine: Affine, origin: Origin, name: str, gaps: bool = False) -> Volume:
    """A volume from a file's numbers.

    Args:
        numbers: (I, J, K), as stored.
        affine: (4, 4), stored voxels to millimetres (RAS), checked.
        origin: of the file.
        name: what an error names: a file, or an argument.
        gaps: whether NaN is taken, for what nobody knows.

    Raises:
        InputError: as `normalisation.levels_of`.
    """
    i, j, k = numbers.shape
    values = origin.stored.values(numbers)
    known = values[~np.isnan(values)] if gaps and values.dtype.kind == "f" else values
    if not known.size:
        raise InputError(f"{name} holds nothing but NaN: nothing is known anywhere; check which volume it holds")
    levels = levels_of(known, name)
    inside = origin.orientation.inside(values)
    samples = np.empty(inside.shape, np.float32)
    for x in range(len(samples)):  # slab by slab: no second volume in float64
        samples[x] = levels.applied(inside[x])
    return Volume(samples, origin.orientation.affine_inside(affine, (i, j, k)), levels, origin)
