"""Maps of one number per pixel as colours: a perceptually ordered scale from 0 to a round top."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

# Anchors of matplotlib's inferno (Smith and van der Walt 2015, CC0): lightness rises evenly from black to pale yellow.
ANCHORS = (
    (0, 0, 4), (31, 12, 72), (85, 15, 109), (136, 34, 106), (186, 54, 85),
    (227, 89, 51), (249, 140, 10), (249, 201, 50), (252, 255, 164),
)  # fmt: skip
SHARE_SHOWN = 0.99  # a few outliers would otherwise darken the whole map
SMALLEST_TOP = 1e-3


@dataclass(frozen=True)
class Scale:
    """What the colours of a map mean.

    Attributes:
        top: the value of the last colour; 0 has the first.
        above: share of the map's pixels that lie above the top and are drawn as it.
    """

    top: float
    above: float


def palette() -> npt.NDArray[np.uint8]:
    """Return the (256, 3) colours, darkest first."""
    anchors = np.array(ANCHORS, np.float64)
    at = np.linspace(0, len(anchors) - 1, 256)
    channels = [np.interp(at, np.arange(len(anchors)), channel) for channel in anchors.T]
    return np.asarray(np.rint(np.stack(channels, axis=1)), np.uint8)


def scale_of(values: npt.NDArray[np.floating]) -> Scale:
    """Choose a round top that leaves at most a hundredth of the (H, W) values above it."""
    needed = max(float(np.quantile(values, SHARE_SHOWN)), SMALLEST_TOP)
    power = 10.0 ** math.floor(math.log10(needed))
    top = next(step * power for step in (1, 2, 3, 4, 6, 8, 10) if step * power >= needed * (1 - 1e-6))
    return Scale(top, float(np.mean(values > top)))


def to_index(values: npt.NDArray[np.floating], scale: Scale) -> npt.NDArray[np.uint8]:
    """Return each value's row in the palette, (H, W)."""
    return np.asarray(np.rint(np.clip(values / scale.top, 0, 1) * 255), np.uint8)
