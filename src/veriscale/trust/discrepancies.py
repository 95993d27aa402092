"""How far a delivered picture is from the truth, pixel by pixel, and the strings that name a way to say it.

Every function takes two pictures (H, W, C) float32 in [0, 1], C = 1 or 3, the first as delivered: clipped and rounded
to 8 bits, since the mask is about what the user holds. It returns (H, W) float32, at most its bound on such pictures.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from veriscale.decimals import shortest
from veriscale.errors import InputError, closest
from veriscale.imaging.rounding import row_blocks
from veriscale.trust.lab import rescaled_lab
from veriscale.trust.local_features import feature_distance
from veriscale.trust.smoothing import smoothed

Array = NDArray[np.float32]

STD = 2.0
_STDS = 0.05, 100.0  # below, the Gaussian is one pixel; above, pictures are


def pointwise(image: Array, truth: Array) -> Array:
    """The greatest difference over the channels, in [0, 1].

    Raises:
        InputError: the shapes differ, or a value is not finite; the sentence says in which.
    """
    _check(image, truth)
    out = np.empty(image.shape[:2], np.float32)
    for rows in row_blocks((image.shape[0], 64 * image.shape[1], image.shape[2])):  # small blocks stay in the cache
        difference = np.abs(np.subtract(image[rows], truth[rows], dtype=np.float32))
        out[rows] = difference[..., 0]
        for c in range(1, image.shape[2]):
            np.maximum(out[rows], difference[..., c], out=out[rows])
    return out


def lab(image: Array, truth: Array) -> Array:
    """The sum of the differences of (L/100, a/254 + 1/2, b/254 + 1/2), in [0, 2].

    The greatest between two colours of sRGB is 1.96, from green to blue.

    Raises:
        InputError: as `pointwise`.
    """
    _check(image, truth)
    out = np.empty(image.shape[:2], np.float32)
    for rows in row_blocks((image.shape[0], 16 * image.shape[1], 3)):
        out[rows] = np.abs(rescaled_lab(image[rows]) - rescaled_lab(truth[rows])).sum(axis=2)
    return out


def neighbourhood(image: Array, truth: Array, std: float = STD) -> Array:
    """`pointwise` of both pictures filtered by a Gaussian of `std` pixels, mirrored edges; in [0, 1].

    Raises:
        InputError: as `pointwise`.
    """
    _check(image, truth)
    out = np.zeros(image.shape[:2], np.float32)
    for c in range(image.shape[2]):
        np.maximum(out, np.abs(smoothed(image[..., c], std) - smoothed(truth[..., c], std)), out=out)
    return out  # no rounding leads above 1: a weighted mean of at most 1 is summed in float64 and rounded to float32


def semantic(image: Array, truth: Array) -> Array:
    """Distance of unit features that know edges and their directions: `local_features.feature_distance`, in [0, 2].

    Raises:
        InputError: as `pointwise`.
    """
    _check(image, truth)
    return feature_distance(image, truth)


DISCREPANCIES: dict[str, tuple[Callable[..., Array], float]] = {
    "pointwise": (pointwise, 1.0),
    "lab": (lab, 2.0),
    "neighbourhood": (neighbourhood, 1.0),
    "semantic": (semantic, 2.0),
}


@dataclass(frozen=True)
class Discrepancy:
    """A discrepancy with its setting; made by `parse_discrepancy`, and `str` gives the string that makes it again.

    Args:
        name: a name in `DISCREPANCIES`.
        std: of the neighbourhood's Gaussian in pixels; None for the others.
    """

    name: str
    std: float | None = None

    @property
    def bound(self) -> float:
        """B: no value is above it."""
        return DISCREPANCIES[self.name][1]

    def __call__(self, image: Array, truth: Array) -> Array:
        """The discrepancy (H, W) of two pictures (H, W, C); `InputError` as its function."""
        function = DISCREPANCIES[self.name][0]
        return function(image, truth) if self.std is None else function(image, truth, self.std)

    def __str__(self) -> str:
        return self.name if self.std is None else f"{self.name}:std={shortest(self.std)}"


def parse_discrepancy(text: str) -> Discrepancy:
    """`pointwise`, `lab`, `semantic`, `neighbourhood` or `neighbourhood:std=2`.

    Raises:
        InputError: unknown name or key, or an std that is no number or out of range.
    """
    name, _, rest = text.strip().partition(":")
    if name not in DISCREPANCIES:
        raise InputError(f"Unknown discrepancy {name!r}; {closest(name, DISCREPANCIES)}.")
    if name != "neighbourhood":
        if rest:
            raise InputError(f"The discrepancy '{name}' has no settings; remove {rest!r}.")
        return Discrepancy(name)
    key, _, value = (rest or f"std={STD}").partition("=")
    if key != "std":
        raise InputError(f"The discrepancy 'neighbourhood' has no key {key!r}; its only one is std.")
    if not re.fullmatch(r"(\d+\.?\d*|\.\d+)", value):
        raise InputError(f"The discrepancy 'neighbourhood': std={value or 'nothing'} is no number, such as std=2.")
    low, high = _STDS
    if not low <= float(value) <= high:
        raise InputError(
            f"The discrepancy 'neighbourhood': std={value} is out of range; std is at least {low} and at most {high:g}."
        )
    return Discrepancy(name, float(value))


def _check(image: Array, truth: Array) -> None:
    if image.ndim != 3 or image.shape[2] not in (1, 3) or image.shape != truth.shape:
        raise InputError(
            f"A discrepancy compares two pictures (H, W, C) of one shape with 1 or 3 channels, got {image.shape} "
            f"and {truth.shape}."
        )
    for name, picture in (("image", image), ("truth", truth)):
        if not np.isfinite(picture).all():
            raise InputError(f"The {name} holds NaN or infinite values, so that no discrepancy can be had from it.")
