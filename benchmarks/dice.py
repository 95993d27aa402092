"""How well the classes of a picture, by thresholds, lie where the truth's do."""

from collections.abc import Sequence

import numpy as np

SHARES = (1 / 3, 2 / 3)
"""Of the truth's values in a mask, those that lie below each threshold: three classes as large as each other."""


def thresholds(truth: np.ndarray, mask: np.ndarray) -> list[float]:
    """Of a subject, for all pictures of it; truth and mask of any one shape."""
    return [float(v) for v in np.quantile(truth[mask], SHARES)]


def overlaps(image: np.ndarray, truth: np.ndarray, at: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Of each class, 2·|A ∩ B| and |A| + |B|, float64: sums of several pictures give their Dice too.

    Args:
        image, truth: (N,).
        at: thresholds, increasing.
    """
    a, b = (np.digitize(values, at) for values in (image, truth))
    classes = np.arange(len(at) + 1)[:, None]
    same = 2.0 * ((a == classes) & (b == classes)).sum(1)
    return same, (a == classes).sum(1) + (b == classes).sum(1) + 0.0


def dice(same: Sequence[np.ndarray], sizes: Sequence[np.ndarray]) -> np.ndarray:
    """The mean over classes of Dice's coefficient, elementwise in arrays of what `overlaps` gives.

    Source: Dice 1945.
    """
    each = [s / np.maximum(n, 1) for s, n in zip(same, sizes, strict=True)]
    return np.asarray(sum(each) / len(each))
