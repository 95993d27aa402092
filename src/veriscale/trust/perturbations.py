"""Small changes of a measurement that should change nothing: what a deterministic tool has instead of draws.

A score for a tool T on a measurement y: `variance` over T(y) and undo(T(apply(y)), T(y), scale) for each of
`PERTURBATIONS`. Every change is a fixed function of the measurement, so that units stay exchangeable.
Source: ours, docs/methods.md#perturbations.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


class Perturbation(Protocol):
    """A change of a measurement and its undoing on the result."""

    @property
    def name(self) -> str:
        """What a report calls it."""

    def apply(self, y: Array) -> Array:
        """Change a measurement (h, w, C) in [0, 1]; the result has its shape and range."""

    def undo(self, x: Array, reference: Array, scale: int) -> Array:
        """Bring the result of a changed measurement to where it would lie without the change.

        Args:
            x: (H, W, C), of the changed measurement.
            reference: (H, W, C), of the unchanged one.
            scale: pixels of the result along one pixel of the measurement.

        Returns:
            (H, W, C), a new array. What has left the picture is taken from the reference, so that it adds no spread.
        """


@dataclass(frozen=True)
class Flip:
    """Upside down (axis 0) or left to right (axis 1); undone exactly."""

    axis: int

    @property
    def name(self) -> str:
        """Such as "flip rows"."""
        return f"flip {('rows', 'columns')[self.axis]}"

    def apply(self, y: Array) -> Array:
        """The flipped measurement."""
        return np.ascontiguousarray(np.flip(y, self.axis))

    def undo(self, x: Array, reference: Array, scale: int) -> Array:
        """The result flipped back."""
        return np.ascontiguousarray(np.flip(x, self.axis))


@dataclass(frozen=True)
class Shift:
    """One pixel of the measurement along an axis, step ±1; the edge is repeated, and the far edge is lost.

    The result moves by `scale` pixels and is moved back exactly; the strip that corresponds to the lost edge is the
    reference's. Beside the repeated edge the result is the tool's answer to another edge, and counts.
    """

    axis: int
    step: int

    @property
    def name(self) -> str:
        """Such as "shift rows by 1"."""
        return f"shift {('rows', 'columns')[self.axis]} by {self.step}"

    def apply(self, y: Array) -> Array:
        """The shifted measurement."""
        return _shifted(y, self.axis, self.step, fill=y)

    def undo(self, x: Array, reference: Array, scale: int) -> Array:
        """The result shifted back, the strip that is missing from the reference."""
        return _shifted(x, self.axis, -self.step * scale, fill=reference)


@dataclass(frozen=True)
class Noise:
    """Gaussian noise, white over pixels and channels, always the same for a shape; the result is left as it is.

    By default one step of 8 bits: rounded into an 8-bit file, a third of the pixels keep their value and the spread is
    1.04 steps. Much less would be lost in the rounding.
    """

    std: float = 1 / 255
    seed: int = 0

    @property
    def name(self) -> str:
        """Always "noise"."""
        return "noise"

    def apply(self, y: Array) -> Array:
        """The noisy measurement, clipped to [0, 1]."""
        noise = np.random.default_rng(self.seed).standard_normal(y.shape, np.float32)
        return np.clip(y + np.float32(self.std) * noise, 0, 1)

    def undo(self, x: Array, reference: Array, scale: int) -> Array:
        """A copy of the result."""
        return x.copy()


PERTURBATIONS: tuple[Perturbation, ...] = (
    Flip(0),
    Flip(1),
    Shift(0, 1),
    Shift(0, -1),
    Shift(1, 1),
    Shift(1, -1),
    Noise(),
)


def _shifted(picture: Array, axis: int, step: int, fill: Array) -> Array:
    """Content moved by `step` along an axis; what enters is what `fill` has there."""
    moved = fill.copy()
    target, source = np.moveaxis(moved, axis, 0), np.moveaxis(picture, axis, 0)
    if step > 0:
        target[step:] = source[:-step]
    else:
        target[:step] = source[-step:]
    return moved
