"""Whether a volume looks like a map of labels, or a mask, that lies among scans."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

LEVELS = 16
"""Different values; what has no more is no scan, as it looks."""


def like_labels(slices: Iterable[NDArray[Any]]) -> bool:
    """Whether all slices together have no more than `LEVELS` different values; looks no further than it must."""
    found = set[float]()
    for each in slices:
        found.update(np.unique(each).tolist())
        if len(found) > LEVELS:
            return False
    return True
