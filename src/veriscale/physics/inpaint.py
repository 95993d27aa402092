"""Pictures with holes."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from veriscale.decimals import shortest
from veriscale.errors import InputError
from veriscale.imaging.picture import content_hash
from veriscale.imaging.read import read_photo
from veriscale.physics.keys import check_path, check_range, check_seed, path_from
from veriscale.physics.masked import Masked, random_subset
from veriscale.physics.operator import Shape


@dataclass(frozen=True)
class Inpaint(Masked):
    """Some pixels are measured, with all their channels: `inpaint:keep=0.5,seed=0`, `mask=FILE` or `box=64`.

    It acts on the last two axes: every slice of a volume has the same holes. A value that is not measured is 0 in y.

    Args:
        keep: the share of pixels that are measured, in (0, 1], at random; exactly that share, rounded, at least one.
        seed: of `keep`, 0 unless said.
        mask: a picture as large as the measured one. What is at least half as bright as its brightest pixel, in any
            channel, is measured; so 0 and 1 do as well as 0 and 255.
        box: the side of a square hole in the centre (half a pixel up and left of it where that is between pixels).

    Raises:
        InputError: not exactly one of keep, mask and box, a value out of range, or a mask that is not one.
    """

    keep: float | None = None
    seed: int | None = None
    mask: str | None = field(default=None, metadata={"file": ""})
    box: int | None = None
    _pixels: NDArray[np.bool_] | None = field(default=None, init=False, repr=False, compare=False)

    name: ClassVar[str] = "inpaint"

    def __post_init__(self) -> None:
        if sum(value is not None for value in (self.keep, self.mask, self.box)) != 1:
            raise InputError(
                f"Operator '{self.name}' takes exactly one of keep, mask and box: "
                "keep=0.5 for random pixels, mask=FILE for a picture of them, box=64 for a hole."
            )
        if self.keep is not None:
            check_range(self.name, "keep", self.keep, 0, 1, above=True)
            object.__setattr__(self, "seed", self.seed or 0)
            check_seed(self.name, self.seed or 0)
        elif self.seed is not None:
            raise InputError(f"Operator '{self.name}': seed goes with keep=… only; leave it out.")
        if self.box is not None:
            check_range(self.name, "box", self.box, 1, 1 << 20)
        if self.mask is not None:
            check_path(self.name, self.mask)
            object.__setattr__(self, "_pixels", _read_mask(self.mask))

    def measured(self, shape: Shape) -> NDArray[np.bool_]:
        """(H, W), True where measured.

        Raises:
            InputError: the mask is of another size, or the box leaves nothing.
        """
        height, width = shape[-2:]
        if self.keep is not None:
            count = max(1, round(self.keep * height * width))
            return random_subset(height * width, count, self.seed or 0).reshape(height, width)
        if self._pixels is not None:
            if self._pixels.shape != (height, width):
                rows, columns = self._pixels.shape
                raise InputError(
                    f"The mask {self.mask} of {columns}×{rows} does not fit a picture of {width}×{height}; "
                    "both must be of one size."
                )
            return self._pixels
        side = self.box or 0
        if side > min(height, width) or side * side == height * width:
            raise InputError(
                f"A hole of {side}×{side} does not fit into a picture of {width}×{height}; give a smaller box."
            )
        top, left = (height - side) // 2, (width - side) // 2
        measured = np.ones((height, width), np.bool_)
        measured[top : top + side, left : left + side] = False
        return measured

    def measurement_shape(self, shape: Shape) -> Shape:
        """The same shape.

        Raises:
            InputError: as `measured`.
        """
        if self.keep is None:
            self.measured(shape)
        return shape

    def truth_shape(self, shape: Shape) -> Shape:
        """The same shape; raises as `measured`."""
        return self.measurement_shape(shape)

    def beside(self, folder: Path) -> "Inpaint":
        """The same operator with the path of its mask as seen from `folder`."""
        if self.mask is None:
            return self
        return path_from(self, "mask", folder)

    @property
    def contents(self) -> tuple[str, ...]:
        """That of its mask, where it is from a file."""
        return () if self._pixels is None else (content_hash(self._pixels),)

    def __str__(self) -> str:
        if self.keep is not None:
            return f"{self.name}:keep={shortest(self.keep)},seed={self.seed}"
        return f"{self.name}:mask={self.mask}" if self.mask is not None else f"{self.name}:box={self.box}"


def _read_mask(path: str) -> NDArray[np.bool_]:
    values = read_photo(path).pixels.max(axis=2)
    largest = float(values.max())
    if largest <= 0:
        raise InputError(f"The mask {path} is zero everywhere; what is measured must be bright in it.")
    measured: NDArray[np.bool_] = values >= largest / 2
    measured.setflags(write=False)
    return measured
