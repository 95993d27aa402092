"""A picture with its trust mask drawn in: hatched where it is not trusted.

Hatching and an outline say it without colour, so that colour-blind readers and grey prints show it too.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from veriscale.errors import InputError
from veriscale.imaging.colour import as_channels

Array = npt.NDArray[np.floating]
Mask = npt.NDArray[np.bool_]

# Greys of what is not trusted: paler and flatter than the picture, so that lines darker by the same step are seen on
# black as on white. From PALEST_BLACK, LINE and OUTLINE can be taken without leaving [0, 1].
PALEST_BLACK, FLATNESS = 0.4, 0.5
LINE, OUTLINE = 0.2, 0.4


@dataclass(frozen=True)
class Hatch:
    """Diagonal lines over a whole picture, in pixels along a row.

    Attributes:
        spacing: from one line to the next.
        width: of a line, and of the outline.
    """

    spacing: int
    width: int


def hatch_for(height: int, width: int) -> Hatch:
    """8 pixels apart and 1 wide up to 320 pixels, then growing with the longer side: 36 and 5 at 4,000.

    A large picture is mostly seen reduced, where lines 8 pixels apart would blur into grey.
    """
    growth = max(1.0, max(height, width) / 320) ** 0.6
    return Hatch(round(8 * growth), round(growth))


def overlay(picture: Array, trusted: Mask) -> npt.NDArray[np.float32]:
    """Leave what is trusted as it is; turn the rest grey, hatch it and outline it from within.

    A line's place depends on the pixel and on the picture's size alone: masks of one picture can be compared.

    Args:
        picture: (H, W, C) in [0, 1], C = 1 or 3; clipped.
        trusted: (H, W).

    Returns:
        (H, W, 3) float32, [0, 1].

    Raises:
        InputError: the picture is neither grey nor RGB, or the mask is not one truth value per pixel.

    Source: ours.
    """
    if picture.ndim != 3 or picture.shape[2] not in (1, 3):
        raise InputError(f"a mask is drawn over (H, W, 1) or (H, W, 3), got {picture.shape}: give grey or RGB")
    if trusted.shape != picture.shape[:2] or trusted.dtype != np.bool_:
        raise InputError(
            f"a picture of {picture.shape[:2]} pixels got a mask of {trusted.shape} {trusted.dtype}: "
            "give one truth value per pixel"
        )
    shown = np.clip(picture, 0, 1, dtype=np.float32, casting="same_kind")
    height, width = trusted.shape
    hatch = hatch_for(height, width)
    lines = np.add.outer(np.arange(height), np.arange(width)) % hatch.spacing < hatch.width
    grey = PALEST_BLACK + FLATNESS * as_channels(shown, 1)[..., 0]
    grey -= np.where(_grown(trusted, hatch.width), np.float32(OUTLINE), LINE * lines.astype(np.float32))
    return np.where(trusted[..., None], as_channels(shown, 3), grey[..., None])


def _grown(trusted: Mask, pixels: int) -> Mask:
    """Add to the mask what lies within so many steps up, down, left or right of it."""
    for _ in range(pixels):
        grown = trusted.copy()
        grown[1:] |= trusted[:-1]
        grown[:-1] |= trusted[1:]
        grown[:, 1:] |= trusted[:, :-1]
        grown[:, :-1] |= trusted[:, 1:]
        trusted = grown
    return trusted
