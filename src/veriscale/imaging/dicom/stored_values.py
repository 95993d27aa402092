"""Samples as the 16-bit integers that files hold."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from veriscale.errors import InputError

_LEVELS = 2**16


@dataclass(frozen=True)
class Rescale:
    """How stored integers mean values: value = slope · stored + intercept.

    Attributes:
        slope: above 0.
        intercept: in the scanner's units.
        signed: whether stored integers run from -32768 to 32767, else from 0 to 65535.
    """

    slope: float
    intercept: float
    signed: bool

    @property
    def limits(self) -> tuple[int, int]:
        """The least and the greatest stored integer."""
        return (-_LEVELS // 2, _LEVELS // 2 - 1) if self.signed else (0, _LEVELS - 1)

    def stored(self, samples: NDArray[np.floating]) -> NDArray[np.int16] | NDArray[np.uint16]:
        """The nearest integers, little endian; what is out of range is held at its ends."""
        nearest = np.rint((samples.astype(np.float64) - self.intercept) / self.slope).clip(*self.limits)
        return nearest.astype("<i2" if self.signed else "<u2")


def fitting(samples: NDArray[np.floating], step: float, intercept: float, signed: bool) -> Rescale:
    """The scale that holds the samples and rounds by at most half a source step.

    It is the source's own where the range fits, so that what was not changed is stored as it was; else the other sign,
    else another intercept on the source's levels. A range of more than 65,536 source steps fits no 16 bits: its step
    is coarser, which `coarser` tells.

    Args:
        samples: finite.
        step: what one stored unit of the source means, above 0.
        intercept: the source's.
        signed: whether the source's stored integers are.

    Raises:
        InputError: NaN or infinite samples.
    """
    low, high = float(samples.min()), float(samples.max())
    if not np.isfinite([low, high]).all():
        raise InputError("the samples hold NaN or infinite values, which a DICOM file cannot; replace them by numbers")
    step, intercept = decimal(step), decimal(intercept)
    for each in (signed, not signed):
        scale = Rescale(step, intercept, each)
        if (
            scale.limits[0] <= np.rint((low - intercept) / step)
            and np.rint((high - intercept) / step) <= scale.limits[1]
        ):
            return scale
    step = max(step, decimal((high - low) / (_LEVELS - 2)))
    return Rescale(step, decimal(intercept + np.floor((low - intercept) / step) * step), signed=False)


def coarser(scale: Rescale, step: float) -> bool:
    """Whether values are rounded by more than half a source step."""
    return scale.slope > step * (1 + 1e-9)


def decimal(number: float) -> float:
    """The number that a decimal string of 16 characters holds (DICOM PS3.5 table 6.2-1, DS)."""
    from pydicom.valuerep import format_number_as_ds

    return float(format_number_as_ds(float(number) + 0.0))
