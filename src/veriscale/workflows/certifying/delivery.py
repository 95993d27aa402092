"""A result as a certificate speaks of it: the picture that its file holds, and its score."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from veriscale.imaging.photo import Photo
from veriscale.imaging.rounding import as_stored
from veriscale.traversal.method import Tell
from veriscale.workflows.restoring.restorer import Restorer

Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Delivered:
    """A result as its 8-bit file holds it, (H, W, C), and its score, (H, W)."""

    picture: Array
    score: Array


def deliver(restorer: Restorer, y: Photo, stem: str, tell: Tell = lambda phase, done, of: None) -> Delivered:
    """Restore a measurement at the one dial position of the restorer; `stem` is that of the picture it was made of.

    Raises:
        InputError: something about the picture or the settings.
        ToolError: a tool failed on it.
    """
    result = restorer.prepare(y, stem=stem).restore(tell)
    if result.score is None:
        raise ValueError("a restorer without a score delivers nothing to certify")
    return Delivered(as_stored(result.image.pixels), result.score)
