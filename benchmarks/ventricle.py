"""The area of the left ventricle's blood pool: a number that a cardiologist would read off a restored slice."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import binary_dilation

MYOCARDIUM, VENTRICLE = 2, 3
"""Labels of mri/cardiac/acdc."""

AROUND = 3  # pixels by which the search goes beyond the label
LEAST = 100  # pixels: below it a slice is the tip of the heart


@dataclass(frozen=True, eq=False)
class BloodPool:
    """Where blood is looked for in one slice, and how bright it is.

    Attributes:
        slice: its number.
        region: (H, W) bool.
        threshold: between muscle and blood, in the scan's units.
        truth: area in the true slice, in pixels.
    """

    slice: int
    region: np.ndarray
    threshold: float
    truth: float

    def area(self, image: np.ndarray) -> float:
        """Pixels of the region above the threshold, half of those on it, of the slice restored, (H, W)."""
        return area_above(image[self.region], self.threshold)

    def error(self, image: np.ndarray) -> float:
        """Of the area, as a share of the true one; above 0 where it is too large."""
        return self.area(image) / self.truth - 1


def area_above(values: np.ndarray, threshold: float) -> float:
    """How many of the values are above; one that lies on it is half, since whole numbers often do and others never."""
    return float((values > threshold).sum() + (values == threshold).sum() / 2)


def blood_pools(truth: np.ndarray, labels: np.ndarray) -> list[BloodPool]:
    """The blood pools of the slices that hold enough of it.

    The threshold lies midway between the true medians of ventricle and muscle over the scan; the region is the
    ventricle and `AROUND` pixels more, from neighbour to neighbour along rows and columns.

    Args:
        truth: (slices, H, W), in the scan's units.
        labels: the same shape, of an expert.

    Raises:
        ValueError: the labels hold no muscle or no ventricle.
    """
    inside = {label: truth[labels == label] for label in (MYOCARDIUM, VENTRICLE)}
    if not all(values.size for values in inside.values()):
        raise ValueError("the labels hold no muscle or no ventricle of the left half of the heart")
    threshold = float(np.mean([np.median(values) for values in inside.values()]))
    found = []
    for k, (x, label) in enumerate(zip(truth, labels, strict=True)):
        region = binary_dilation(label == VENTRICLE, iterations=AROUND)
        area = area_above(x[region], threshold)
        if area >= LEAST:
            found.append(BloodPool(k, region, threshold, area))
    return found
