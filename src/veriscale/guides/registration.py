"""Whether a guide lies where it should: which shift, of whole voxels, would bring its edges onto the measurement's."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfftn, next_fast_len, rfftn
from scipy.ndimage import binary_erosion, gaussian_filter

REACH = 6  # voxels
SURE = 1.02  # of the best shift's fit over that of none, from where on it is said: chosen on training subjects
_LEAST = 2  # voxels that are told from none
_FLAT = 0.5  # of the mean steepness: what is flatter has no direction
_LONG = 4 * REACH  # voxels along an axis, at least, for shifts along it

Array = NDArray[Any]


@dataclass(frozen=True)
class Fit:
    """How well a guide fits, as it lies and as it would best.

    Attributes:
        shift: voxels by which it would have to be moved along each axis.
        gain: the fit there over the fit as it lies; 1 where that is the best.
    """

    shift: tuple[int, int, int]
    gain: float

    @property
    def off(self) -> bool:
        """Whether it looks misregistered."""
        return max(map(abs, self.shift)) >= _LEAST and self.gain >= SURE


def registration(measurement: Array, guide: Array, blurred: Sequence[float], reach: int = REACH) -> Fit:
    """Search all shifts of whole voxels for that at which the directions of steepest change agree best.

    The fit is the mean of ⟨n, n′⟩² over places, with n the gradient over its length and what is flat left out
    (normalised gradient fields): it knows no intensities, so that contrasts may be any. Six correlations by FFT answer
    for all shifts at once.

    Args:
        measurement, guide: (X, Y, Z) on the result's voxels, at any resolution, NaN where nothing is known.
        blurred: (3,) std in voxels to which both are smoothed: that of the measurement's own resolution.
        reach: voxels, the farthest that is searched along an axis; none along one that is too short for it.

    Source: Haber and Modersitzki 2006, for the fit; the rest ours, docs/methods.md#guides-in-use
    """
    reaches = [reach if n >= _LONG else 0 for n in guide.shape]
    size = [next_fast_len(n + 2 * r, real=True) for n, r in zip(guide.shape, reaches, strict=True)]
    one, other = (_directions(each, tuple(blurred)) for each in (measurement, guide))
    fit: Any = 0.0
    for i, j in combinations_with_replacement(range(3), 2):
        fit = fit + (1 + (i != j)) * _correlation(one[i] * one[j], other[i] * other[j], size)
    there = np.square(one).sum(0), np.square(other).sum(0)
    fit = fit / np.maximum(_correlation(*there, size), 1e-6 * there[0].sum())
    window = np.ix_(*(np.arange(-r, r + 1) % n for r, n in zip(reaches, size, strict=True)))
    near = fit[window]
    if not near[tuple(reaches)]:
        return Fit((0, 0, 0), 1.0)  # nothing is known of it
    best = np.unravel_index(int(near.argmax()), near.shape)
    x, y, z = (r - int(at) for at, r in zip(best, reaches, strict=True))
    return Fit((x, y, z), float(near[best] / near[tuple(reaches)]))


def _directions(samples: Array, std: tuple[float, ...]) -> Array:
    """(3, X, Y, Z), gradients of length about 1, and of about 0 where it is flat or nothing is known."""
    known = np.isfinite(samples)
    smooth = gaussian_filter(np.where(known, samples, 0).astype(np.float32), std)
    if not known.all():  # what smoothing and gradients make of the edge of what is known is no edge of the body
        known = binary_erosion(known, iterations=math.ceil(2 * max(std)) + 1, border_value=1)
    g = np.stack([np.gradient(smooth, axis=k) if n > 1 else np.zeros_like(smooth) for k, n in enumerate(smooth.shape)])
    steep = np.sqrt(np.square(g).sum(0))
    usual = float(steep.mean(where=known)) if known.any() else 0.0
    return np.where(known, g / np.sqrt(np.square(steep) + (_FLAT * usual) ** 2 + 1e-12), 0)


def _correlation(one: Array, other: Array, size: Sequence[int]) -> Array:
    """Σ_p one(p) other(p + s) for every shift s, modulo `size`."""
    return np.asarray(irfftn(np.conj(rfftn(one, size)) * rfftn(other, size), size))
