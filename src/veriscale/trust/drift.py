"""Is a measurement like those that a certificate was made from? A conformal p-value of simple statistics."""

import numpy as np
from numpy.typing import NDArray

from veriscale.errors import InputError
from veriscale.trust.measurement_statistics import statistics

__all__ = ["p_value", "statistics"]

Float = NDArray[np.float64]


def p_value(calibration: Float, new: Float) -> float:
    """How many of n + 1 measurements are at least as unusual among them as the new one: full conformal prediction.

    For exchangeable measurements P(p ≤ u) ≤ u for every u and every n, whatever the statistics and however badly they
    fit the nonconformity; ties only make p greater. With n = 50 the least p is 1/51.

    Args:
        calibration: (n, K) `statistics` of the calibration's measurements.
        new: (K,) of the measurement.

    Returns:
        In {1/(n + 1), …, 1}; small means unlike the calibration.

    Raises:
        InputError: the new statistics are of another number than the calibration's.

    Source: Vovk, Gammerman, Shafer 2005, section 2.2; the nonconformity is ours, docs/methods.md#drift.
    """
    if calibration.ndim != 2 or new.shape != calibration.shape[1:]:
        raise InputError(
            f"The calibration holds statistics of shape {calibration.shape} and the measurement's are {new.shape}; "
            "both must come from the same version."
        )
    unusual = nonconformity(np.vstack([calibration, new]))
    # Two equal measurements may differ by rounding here; to count them as ties keeps the bound.
    return float(np.mean(unusual >= unusual[-1] * (1 - 1e-9)))


def nonconformity(bag: Float) -> Float:
    """Squared Mahalanobis distance of each of (m, K) from the mean of all, the covariance being C + I, (m,).

    Symmetric in the m measurements, the new one among them: that is what makes p valid. With I, differences below the
    statistics' unit count for nothing, even where the calibration never varies.
    """
    centred = bag - bag.mean(axis=0)
    covariance = centred.T @ centred / len(bag) + np.eye(bag.shape[1])
    return np.asarray(np.sum(centred * np.linalg.solve(covariance, centred.T).T, axis=1))
