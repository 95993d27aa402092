"""The score of a prior's restoration: where it is less trustworthy, pixel by pixel."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from veriscale.errors import InputError
from veriscale.imaging.photo import Photo
from veriscale.trust.scores.predictor import Predictor
from veriscale.trust.scores.score import Score
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
    if isinstance(problem, Conditional) and isinstance(score, Predictor):
        # An error of the mean above tau − d, where the picture is moved from it by d, is the least that makes the
        # picture's own error exceed tau.
        shift = (picture.clamp(0, 1) - problem.anchor.clamp(0, 1)).abs().amax(1)
        logit = problem.predicted_error(score.tau - shift)
        values = score.raised(logit[0, : finish.height, : finish.width].numpy())
    else:
        values = score.of_pictures(finish(picture).pixels, [p.pixels for p in samples])
    return score.smoothed(values)


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
