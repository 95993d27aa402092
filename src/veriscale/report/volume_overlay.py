"""A volume with its trust mask drawn in, in grey: hatched where it counts and is not trusted."""

import numpy as np
from numpy.typing import NDArray

from veriscale.report.overlay import FLATNESS, LINE, PALEST_BLACK

SPACING, WIDTH = 6, 2  # voxels from line to line, and of a line, along every axis

Mask = NDArray[np.bool_]


def hatched(samples: NDArray[np.float32], trusted: Mask, counted: Mask) -> NDArray[np.float32]:
    """Leave what is trusted, and what does not count, as it is; make the rest paler and draw lines over it.

    The lines are planes across the diagonal of the voxels, so that they are seen in every section.

    Args:
        samples: (X, Y, Z), 0 and 1 the scan's levels; clipped where they are hatched.
        trusted, counted: (X, Y, Z).

    Source: ours, as `report.overlay.overlay`.
    """
    at = np.add.outer(np.add.outer(*(np.arange(n) for n in samples.shape[:2])), np.arange(samples.shape[2]))
    pale = PALEST_BLACK + FLATNESS * samples.clip(0, 1) - LINE * (at % SPACING < WIDTH)
    return np.where(counted & ~trusted, pale, samples).astype(np.float32)
