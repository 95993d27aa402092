"""The score of a prior's restoration: where it is less trustworthy, pixel by pixel."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from veriscale.errors import InputError
from veriscale.imaging.photo import Photo
from veriscale.trust.score_name import Score
from veriscale.trust.scores import blurred_variance, gradient, smooth, variance
from veriscale.workflows.conditional import Conditional
from veriscale.workflows.finish import Finish
from veriscale.workflows.zero_shot import ZeroShot

Array = NDArray[np.float32]


def score_map(
    score: Score, problem: Conditional | ZeroShot, picture: Tensor, samples: Sequence[Photo], finish: Finish
) -> Array:
    """Score a restoration of one picture.

    Args:
        score: which.
        problem: the restoration under way.
        picture: (1, C, H', W') what is delivered, on the problem's grid.
        samples: the draws as delivered.
        finish: from that grid to the picture's own.

    Returns:
        (H, W) float32.

    Raises:
        InputError: the prior or the way it is used does not have this score.
    """
    if isinstance(problem, Conditional) and score.name == "predictor":
        # An error of the mean above tau − d, where the picture is moved from it by d, is the least that makes the
        # picture's own error exceed tau.
        shift = (picture.clamp(0, 1) - problem.anchor.clamp(0, 1)).abs().amax(1)
        logit = problem.predicted_error(score.settings["tau"] - shift)
        values: Array = logit[0, : finish.height, : finish.width].numpy()
        values = values + np.float32(score.settings["context"] * values.mean(dtype=np.float64))
    else:
        values = picture_score(score, finish(picture).samples, [p.samples for p in samples])
    return smoothed(score, values)


def own_map(values: NDArray[Any], shape: tuple[int, ...], source: str) -> Array:
    """A map the user brings, before its smoothing, (H, W).

    Args:
        values: the map; axes of length 1 do not count.
        shape: (H, W) of the result.
        source: what an error names.

    Raises:
        InputError: the map is of another shape, or holds NaN.
    """
    kind = getattr(getattr(values, "dtype", None), "kind", "no array")
    if kind not in "fiu":
        raise InputError(f"{source} holds no real numbers ({kind}).")
    own = np.asarray(values, np.float32).squeeze()
    if own.shape != shape:
        raise InputError(f"{source} has shape {own.shape}, and the result has {shape}.")
    if np.isnan(own).any():
        raise InputError(f"{source} holds NaN; write inf where nothing may be trusted.")
    return own


def smoothed(score: Score, values: Array) -> Array:
    """With the score's final smoothing."""
    if not score.smooth:
        return values
    never = np.isinf(values)
    if not never.any():
        return smooth(values, score.smooth)
    # What is never (or always) trusted stays so and does not spread.
    known = values[~never]
    out = smooth(np.where(never, known.max() if known.size else np.float32(0), values), score.smooth)
    return np.where(never, values, out)


def picture_score(score: Score, picture: Array, runs: Sequence[Array]) -> Array:
    """A score before its smoothing, of a picture (H, W, C) and its other runs, (H, W).

    Raises:
        InputError: it cannot be had from pictures.
    """
    if score.name in ("variance", "perturbed"):
        blur = score.settings["blur"]
        return blurred_variance(runs, blur) if blur else variance(runs)
    if score.name == "gradient":
        return gradient(picture, score.settings["std"])
    raise InputError(f"The score '{score.name}' cannot be computed from pictures alone.")
