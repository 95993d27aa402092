"""Scores from pictures, and maps that the user brings."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veriscale.errors import InputError
from veriscale.imaging.read import read_photo
from veriscale.trust.scores.score import Score

Array = NDArray[np.float32]


def read_score(pattern: str, stem: str, shape: tuple[int, int]) -> Array:
    """The map a user brings for a picture, from a file of one channel, before its smoothing, (H, W).

    Args:
        pattern: a path with {stem} for the picture's name without its extension.
        stem: that name.
        shape: (H, W) of the result.

    Raises:
        InputError: there is no such file, or it does not fit or holds NaN.
    """
    path = Path(pattern.replace("{stem}", stem))
    if path.suffix == ".npy" and path.exists():  # with infinities, which no picture has
        try:
            values = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise InputError(f"Score file {path} holds no array of numbers ({error}).") from error
    else:
        values = read_photo(path).pixels[..., 0]
    return own_map(values, shape, f"Score file {path}")


def check_pattern(score: Score, pattern: str | None) -> None:
    """Raise `InputError` unless a pattern for score files is there exactly where the score wants one."""
    if (score.needs == "maps") != (pattern is not None):
        raise InputError("The score 'files' and `--score-files` go together: give both or neither.")
    if pattern is not None and "{stem}" not in pattern:
        raise InputError(
            f"`--score-files` {pattern} names one file for all; put {{stem}} where the picture's name goes."
        )


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
