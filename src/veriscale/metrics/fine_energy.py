"""How much fine detail a picture has where its truth has none, and where it has most.

Draws whose look is right on the whole can still leave noise on skies and walls: distances between distributions of
patches hardly see it, since blocks without detail are a small part of them.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from veriscale.errors import InputError
from veriscale.imaging.colour import luma
from veriscale.metrics.distortion import check_same_shape

Array = npt.NDArray[np.floating]

BLOCK = 16  # pixels a side
FLAT = 3.0  # grey levels of 255: luma std of a flat block
TEXTURED = 0.75  # quantile of the luma std of a picture's blocks, from which on they count as textured


@dataclass(frozen=True)
class FineSums:
    """Sums over the blocks of one kind; they add up over pictures.

    Attributes:
        blocks: how many.
        image, truth: sum over them of the mean square, in grey levels², of a pixel less the mean of its four
            neighbours.
    """

    blocks: int
    image: float
    truth: float

    def __add__(self, other: "FineSums") -> "FineSums":
        return FineSums(self.blocks + other.blocks, self.image + other.image, self.truth + other.truth)

    @property
    def ratio(self) -> float:
        """The picture's fine energy over the truth's, RMS: 1 is as calm, or as rich, as the truth.

        Raises:
            InputError: there is no such block, or nothing fine in the truth's.
        """
        if not self.truth:
            raise InputError("No block of the truth is of this kind, so its fine energy compares with nothing.")
        return float(np.sqrt(self.image / self.truth))


def fine_sums(image: Array, truth: Array) -> tuple[FineSums, FineSums]:
    """Return the sums of the flat and of the textured blocks of one picture, by the truth's luma.

    Args:
        image: (H, W, C), [0, 1] but for overshoot (not clipped).
        truth: the same shape, at least one block and a pixel around it a side.

    Raises:
        InputError: the shapes differ or the picture is too small.

    Source: ours, docs/methods.md#numbers.
    """
    check_same_shape(image, truth)
    rows, columns = ((n - 2) // BLOCK for n in image.shape[:2])
    if not rows or not columns:
        raise InputError(f"fine energy needs {BLOCK + 2} pixels a side, got {image.shape[1]}×{image.shape[0]}")
    (fine, _), (truth_fine, spread) = (_blocks(luma(x.astype(np.float64)) * 255, rows, columns) for x in (image, truth))
    kinds = spread < FLAT, spread >= max(FLAT, float(np.quantile(spread, TEXTURED)))
    flat, textured = (FineSums(int(k.sum()), float(fine[k].sum()), float(truth_fine[k].sum())) for k in kinds)
    return flat, textured


def _blocks(y: npt.NDArray[np.float64], rows: int, columns: int) -> tuple[npt.NDArray[np.float64], ...]:
    """Of every whole block, the mean square of the fine part and the std."""
    y = y.reshape(y.shape[:2])
    around = (y[:-2, 1:-1] + y[2:, 1:-1] + y[1:-1, :-2] + y[1:-1, 2:]) / 4
    inside = y[1:-1, 1:-1]

    def cut(z: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return z[: rows * BLOCK, : columns * BLOCK].reshape(rows, BLOCK, columns, BLOCK)

    return np.square(cut(inside - around)).mean((1, 3)), cut(inside).std((1, 3))
