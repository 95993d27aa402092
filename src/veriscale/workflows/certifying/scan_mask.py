"""The mask of a restored scan, over the foreground of its measurement, and what describes a scan in the drift check."""

import numpy as np
from numpy.typing import NDArray

from veriscale.errors import InputError
from veriscale.imaging.geometry import Grid
from veriscale.imaging.volume import Volume
from veriscale.metrics.foreground import foreground, foreground_on
from veriscale.trust.certificate import Certificate
from veriscale.trust.measurement_statistics import SMALLEST, statistics
from veriscale.workflows.certifying.mask import Mask


def make_scan_mask(
    certificate: Certificate, alpha: str | None, score: NDArray[np.float32], grid: Grid, measurement: Volume
) -> Mask:
    """The mask of a result: nothing outside of the measurement's foreground is trusted or counted.

    Args:
        certificate: checked against how the result was made.
        alpha: the risk level, fixed before the result was seen; the loss's usual one by default.
        score: (X, Y, Z).
        grid: of the result.
        measurement: what was restored.

    Raises:
        InputError: the foreground is empty, or alpha is no positive number or was not declared where it had to be.
    """
    level = certificate.usual_alpha if alpha is None else alpha
    threshold, inside = certificate.threshold(level), foreground_on(grid, measurement)
    return Mask(
        certificate,
        level,
        certificate.dial,
        threshold,
        (score < threshold) & inside,
        certificate.drift(scan_statistics(measurement)),
        counted=inside,
        width=measurement.levels.width,
    )


def scan_statistics(measurement: Volume) -> NDArray[np.float64]:
    """`statistics` of a scan, (7,): the mean over the slices that hold some of its foreground.

    Raises:
        InputError: its slices are too small, or its foreground is empty.

    Source: ours, docs/methods.md#certificates-of-scans
    """
    axis = measurement.slice_axis
    slices, inside = (np.moveaxis(a, axis, 0) for a in (measurement.samples, foreground(measurement.samples)))
    if min(slices.shape[1:]) < SMALLEST:
        raise InputError(
            f"A certificate needs measured slices of at least {SMALLEST}×{SMALLEST} pixels, "
            f"got {slices.shape[2]}×{slices.shape[1]}."
        )
    rows = [statistics(x[..., None]) for x, some in zip(slices, inside, strict=True) if some.any()]
    return np.asarray(np.mean(rows, axis=0))
