"""Posterior draws beside the truth that they are of, checked."""

import numpy as np
import numpy.typing as npt

from veriscale.errors import InputError

Array = npt.NDArray[np.floating]


def checked_draws(draws: Array, truth: Array) -> npt.NDArray[np.float64]:
    """The draws in float64.

    Args:
        draws: (K, …), K ≥ 2 posterior draws at dial 1, unclipped.
        truth: (…).

    Raises:
        InputError: fewer than two draws, or shapes that differ.
    """
    if draws.shape[1:] != truth.shape:
        raise InputError(
            f"the draws are {draws.shape[1:]} and their truth {truth.shape}: "
            "both need the same height, width and channels"
        )
    if len(draws) < 2:
        raise InputError(f"a spread needs at least two draws, got {len(draws)}: ask for more samples")
    return draws.astype(np.float64)
