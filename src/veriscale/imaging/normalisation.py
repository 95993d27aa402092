"""The two intensities of a scan that count as 0 and 1, found in the measurement itself and undone after."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veriscale.errors import InputError

_LOW, _HIGH = 0.1, 99.9  # percentiles
HEADROOM = 1.1
"""1 lies so far up from low, in units of the high percentile: networks of photographs expect nothing above white.
Chosen on training subjects: benchmarks/scan_inplane.py --tune."""
PHOTOGRAPH = "photograph"
"""What a prior's card says of pictures that are taken as they stand."""
SCAN = f"scan: percentiles {_LOW:g} and {_HIGH:g}, headroom {HEADROOM:g}"
"""What it says of those that `levels_of` has brought to [0, 1]."""
_LARGEST = 1e30  # results overshoot, and float32 ends at 3e38


@dataclass(frozen=True)
class Levels:
    """Values v of a scan are x = (v − low)/(high − low), which is never clipped.

    Attributes:
        low: what counts as 0, in the scan's units.
        high: what counts as 1; above low.

    Source: ours, docs/methods.md#scans-geometry-and-intensity
    """

    low: float
    high: float

    @property
    def width(self) -> float:
        """What a difference of 1 is, in the scan's units: a standard deviation is scaled by it."""
        return self.high - self.low

    def applied(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """Values in the scan's units as samples, float32, found in float64."""
        return ((np.asarray(values, np.float64) - self.low) / self.width).astype(np.float32)

    def undone(self, samples: NDArray[Any]) -> NDArray[np.float64]:
        """Samples as values in the scan's units, float64: off by 6e-8 of the distance to `low`, what float32 rounds."""
        return np.asarray(samples, np.float64) * self.width + self.low


def levels_of(values: NDArray[Any], name: str) -> Levels:
    """Robust levels of a scan.

    low is 0 where no voxel is negative, and the 0.1th percentile else; high lies above it by `HEADROOM` times what the
    99.9th percentile does of the voxels that are above low and not 0, which is the background.

    Args:
        values: of any shape, in the scan's units: integers or floating point.
        name: what an error names: a file, or an argument.

    Raises:
        InputError: NaN, infinite or absurdly large values, one value everywhere, or none above low that is not
            background.
    """
    if not np.isfinite(values).all():
        what = "NaN or infinite" if np.isnan(values).any() else "infinite"
        raise InputError(f"{name} holds {what} values; replace them by numbers first")
    least, most = float(values.min()), float(values.max())
    if max(-least, most) > _LARGEST:
        raise InputError(f"{name} holds values of {max(-least, most):.2g}, which no scan has; correct its slope")
    if least == most:
        raise InputError(f"{name} is {least:g} everywhere: there is nothing in it; check which volume it holds")
    low = 0.0 if least >= 0 else float(np.percentile(values, _LOW))
    content = values[(values > low) & (values != 0)]
    high = low + HEADROOM * (float(np.percentile(content, _HIGH)) - low) if content.size else low
    if not (high > low and np.isfinite(high - low)):
        raise InputError(
            f"{name} has no contrast: nearly all of its voxels are {low:g}, from {least:g} to {most:g}; "
            "check which volume it holds"
        )
    return Levels(low, high)
