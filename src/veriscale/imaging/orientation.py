"""The order of a volume's axes: canonical inside, the user's outside.

Axes are permuted and flipped and nothing is resampled, so that samples come back bit for bit.
"""

from dataclasses import dataclass
from itertools import permutations
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from veriscale.imaging.geometry import Affine, Shape, spacing_of

Value = TypeVar("Value")


@dataclass(frozen=True)
class Orientation:
    """Which stored axis each canonical one is, and whether it runs the other way.

    Attributes:
        axes: stored axis of the canonical axes R, A, S.
        flipped: whether each of these runs to the left, to the back, to the feet in the file.
    """

    axes: tuple[int, int, int] = (0, 1, 2)
    flipped: tuple[bool, bool, bool] = (False, False, False)

    @property
    def letters(self) -> str:
        """Where the stored axes run to, such as LAS."""
        ends = {
            axis: ("RAS", "LPI")[flip][k] for k, (axis, flip) in enumerate(zip(self.axes, self.flipped, strict=True))
        }
        return "".join(ends[axis] for axis in range(3))

    def inside(self, samples: NDArray[Any]) -> NDArray[Any]:
        """A view in canonical axes of samples (I, J, K) as stored."""
        return samples.transpose(self.axes)[self._flips()]

    def outside(self, samples: NDArray[Any]) -> NDArray[Any]:
        """A view as stored of samples (X, Y, Z) in canonical axes."""
        return samples[self._flips()].transpose(self.values_outside((0, 1, 2)))

    def affine_inside(self, affine: Affine, shape: Shape) -> Affine:
        """The canonical affine of a grid of `shape` (I, J, K) with the stored one."""
        return affine @ self._stored_from_canonical(shape)

    def affine_outside(self, affine: Affine, shape: Shape) -> Affine:
        """The stored affine of a grid of `shape` (X, Y, Z) with the canonical one."""
        matrix = self._stored_from_canonical(self.values_outside(shape))
        back = np.eye(4)  # the inverse of signs and a permutation, exact
        back[:3, :3] = matrix[:3, :3].T
        back[:3, 3] = -back[:3, :3] @ matrix[:3, 3]
        return affine @ back

    def values_inside(self, values: tuple[Value, Value, Value]) -> tuple[Value, Value, Value]:
        """One value for each stored axis, such as a spacing, in the order of the canonical ones."""
        a, b, c = self.axes
        return values[a], values[b], values[c]

    def values_outside(self, values: tuple[Value, Value, Value]) -> tuple[Value, Value, Value]:
        """One value for each canonical axis in the order of the stored ones."""
        a, b, c = (self.axes.index(axis) for axis in range(3))
        return values[a], values[b], values[c]

    def _flips(self) -> tuple[slice, ...]:
        return tuple(slice(None, None, -1 if flip else 1) for flip in self.flipped)

    def _stored_from_canonical(self, stored: Shape) -> Affine:
        matrix = np.zeros((4, 4))
        matrix[3, 3] = 1
        for k, (axis, flip) in enumerate(zip(self.axes, self.flipped, strict=True)):
            matrix[axis, k] = -1 if flip else 1
            matrix[axis, 3] = stored[axis] - 1 if flip else 0
        return matrix


def orientation_of(affine: Affine) -> Orientation:
    """The orientation that brings stored axes nearest to right, anterior and superior.

    Of the six orders, the one with the largest sum of cosines between axes and directions; the first of equals.

    Args:
        affine: (4, 4), stored voxels to millimetres, as `geometry.checked_affine` gives it.
    """
    cosines = affine[:3, :3] / spacing_of(affine)
    sums = {order: sum(abs(cosines[k, axis]) for k, axis in enumerate(order)) for order in permutations(range(3))}
    a, b, c = max(sums, key=lambda order: round(sums[order], 9))
    return Orientation((a, b, c), (bool(cosines[0, a] < 0), bool(cosines[1, b] < 0), bool(cosines[2, c] < 0)))
