"""The baseline of guides: a local linear regression of the truth on the unguided result and the guides."""

from collections.abc import Iterable

import numpy as np

from guides_cases import SCALE, Case, Condition
from guides_scores import Numbers
from veriscale.diffusion.prior import TrainedPrior
from veriscale.runtime.networks import encode

REACH = 2  # pixels around each: windows of 5 × 5
_RIDGE = 1e-6  # of the mean of the normal matrix's diagonal, so that windows without any contrast can be solved


def regressors(prior: TrainedPrior, case: Case, i: int) -> np.ndarray:
    """(H, W, R): at every pixel the windows of the unguided result and of each guide, and 1; edge pixels go on."""
    sound = case.pictures(i, Condition(tuple(case.guides)))
    mean = encode(prior, case.y(i), SCALE, 0.0, features=False).mean[0, 0].numpy()
    pictures = np.stack([mean, *(sound[name][0].numpy() for name in case.guides)]).astype(np.float64)
    wide = np.pad(pictures, ((0, 0), (REACH, REACH), (REACH, REACH)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(wide, (2 * REACH + 1,) * 2, (1, 2))
    flat = np.moveaxis(windows, 0, 2).reshape(*mean.shape, -1)
    return np.concatenate([flat, np.ones((*mean.shape, 1))], 2)


def fitted(prior: TrainedPrior, cases: Iterable[Case]) -> list[float]:
    """The least squares over the foregrounds of some subjects, each of whom counts as much."""
    matrix: np.ndarray | float = 0.0
    right: np.ndarray | float = 0.0
    for case in cases:
        own, toward, count = 0.0, 0.0, 0
        for i in range(len(case.places)):
            mask = case.mask[..., i]
            r, x = regressors(prior, case, i)[mask], case.truth.samples[..., i][mask].astype(np.float64)
            own, toward, count = own + r.T @ r, toward + r.T @ x, count + len(x)
        matrix, right = matrix + own / count, right + toward / count
    ridge = _RIDGE * np.trace(matrix) / len(matrix) * np.eye(len(matrix))
    return [float(v) for v in np.linalg.solve(matrix + ridge, right)]


def regression_errors(prior: TrainedPrior, case: Case, coefficients: list[float]) -> Numbers:
    """As `guides_scores.mean_errors`, of what the regression says with all guides."""
    of: dict[str, list[float]] = {"error": [], "places": []}
    for i in range(len(case.places)):
        mask = case.mask[..., i]
        found = regressors(prior, case, i)[mask] @ np.asarray(coefficients)
        of["error"].append(float(np.square(found - case.truth.samples[..., i][mask]).sum()))
        of["places"].append(float(mask.sum()))
    return {"places": case.places, "width": case.width, Condition(tuple(case.guides)).name: of}
