"""What stands where in a picture: local features that know edges and their directions, and no brightness."""

import numpy as np
from numpy.typing import NDArray

from veriscale.imaging.colour import as_channels
from veriscale.trust.smoothing import smoothed

DIRECTIONS = 8
CELL = 2.0  # pixels: std of a cell, and the distance of its centre from the pixel along rows and columns
FLAT = 0.05  # the constant entry: the norm of the others at an edge of height 0.13

Plane = NDArray[np.float64]


def feature_distance(image: NDArray[np.float32], truth: NDArray[np.float32]) -> NDArray[np.float32]:
    """Distance of the unit features of two pictures at every pixel.

    With Y the luma, u_k = (sin πk/4, cos πk/4) along rows and columns, k = 0..7, G the Gaussian of std CELL and ∇ by
    central differences over mirrored edges:

        H_k = G ∗ max(⟨∇Y, u_k⟩, 0)                          how much the picture rises towards u_k around a pixel
        v(p) = (H_k(p + o) for each k and o ∈ {−2, 2}²; FLAT)    2 × 2 cells of 8 directions and a constant
        D(p) = ‖v/‖v‖ − v̂/‖v̂‖‖                                in [0, √2], since no entry is negative

    FLAT gives flat regions a direction of their own: between flat and flat D is 0, between flat and an edge of height
    0.1 it reaches 0.65, and rounding a smooth ramp to 8 bits moves it by 0.03.

    Args:
        image: (H, W, C) in [0, 1].
        truth: the same shape.

    Returns:
        (H, W) float32.

    Source: ours, after the dense histograms of Dalal and Triggs 2005; no weights, nothing learned.
    """
    slopes, other_slopes = _slopes(image), _slopes(truth)
    squares, other_squares, products = (np.zeros(image.shape[:2]) for _ in range(3))
    for k in range(DIRECTIONS):
        h, other = _histogram(slopes, k), _histogram(other_slopes, k)
        squares += h * h
        other_squares += other * other
        products += h * other
    cosine = _cells(products) / np.sqrt(_cells(squares) * _cells(other_squares))
    return np.asarray(np.sqrt(np.maximum(2 - 2 * cosine, 0)), np.float32)


def _slopes(picture: NDArray[np.float32]) -> tuple[Plane, Plane]:
    padded = np.pad(as_channels(picture, 1)[..., 0].astype(np.float64), 1, mode="symmetric")
    return (padded[2:, 1:-1] - padded[:-2, 1:-1]) / 2, (padded[1:-1, 2:] - padded[1:-1, :-2]) / 2


def _histogram(slopes: tuple[Plane, Plane], k: int) -> Plane:
    angle = 2 * np.pi * k / DIRECTIONS
    rise = np.maximum(np.sin(angle) * slopes[0] + np.cos(angle) * slopes[1], 0)
    return smoothed(rise, CELL).astype(np.float64)


def _cells(product: Plane) -> Plane:
    """Inner products of v, from those of H: the sum over the four cells, and the constant's."""
    reach = int(CELL)
    padded = np.pad(product, reach, mode="symmetric")
    height, width = product.shape
    total = np.full(product.shape, FLAT**2)
    for row in (0, 2 * reach):
        for column in (0, 2 * reach):
            total += padded[row : row + height, column : column + width]
    return total
