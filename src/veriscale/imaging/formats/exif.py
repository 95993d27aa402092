"""The two things of EXIF that a picture's pixels depend on: orientation and resolution.

Read by hand, for a damaged EXIF block must not make a sound picture unreadable, nor print. Source: CIPA DC-008 (Exif
2.32) §4.6; TIFF 6.0 §2.
"""

import struct
from dataclasses import replace

import numpy as np
from PIL import Image

from veriscale.imaging.formats.guard import plausible_dpi
from veriscale.imaging.photo import Array, Photo

ORIENTATION, X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 274, 282, 283, 296
INCH, CENTIMETRE = 2, 3
_SHORT, _RATIONAL = 3, 5


def parse(block: bytes) -> tuple[int, tuple[float, float] | None]:
    """Orientation (1 to 8; 1 where none is given) and dpi of an EXIF block, with or without its `Exif` prefix."""
    try:
        tags = _first_folder(block.removeprefix(b"Exif\0\0"))
    except (struct.error, KeyError):
        return 1, None
    orientation = int(tags.get(ORIENTATION, 1))
    unit = {INCH: 1.0, CENTIMETRE: 2.54}.get(int(tags.get(RESOLUTION_UNIT, INCH)), 0.0)
    dpi = plausible_dpi(tags.get(X_RESOLUTION, 0) * unit, tags.get(Y_RESOLUTION, 0) * unit)
    return (orientation if 1 <= orientation <= 8 else 1), dpi


def _first_folder(tiff: bytes) -> dict[int, float]:
    order = {b"II*\0": "<", b"MM\0*": ">"}[tiff[:4]]
    (start,) = struct.unpack_from(order + "I", tiff, 4)
    (count,) = struct.unpack_from(order + "H", tiff, start)
    tags: dict[int, float] = {}
    for entry in range(start + 2, start + 2 + 12 * count, 12):
        tag, kind = struct.unpack_from(order + "HH", tiff, entry)
        if kind == _SHORT:
            (tags[tag],) = struct.unpack_from(order + "H", tiff, entry + 8)
        elif kind == _RATIONAL and tag in (X_RESOLUTION, Y_RESOLUTION):
            (at,) = struct.unpack_from(order + "I", tiff, entry + 8)
            above, below = struct.unpack_from(order + "II", tiff, at)
            tags[tag] = above / below if below else 0.0
    return tags


def block(dpi: tuple[float, float]) -> bytes:
    """An EXIF block that holds a resolution and nothing else."""
    exif = Image.Exif()
    exif[X_RESOLUTION], exif[Y_RESOLUTION], exif[RESOLUTION_UNIT] = dpi[0], dpi[1], INCH
    return exif.tobytes()


def upright(photo: Photo, orientation: int) -> Photo:
    """Turn and mirror a picture as its orientation asks; its resolution turns with it."""
    if orientation == 1:
        return photo
    alpha = None if photo.alpha is None else _turned(photo.alpha, orientation)
    dpi = photo.dpi[::-1] if photo.dpi and orientation >= 5 else photo.dpi
    return replace(photo, pixels=_turned(photo.pixels, orientation), alpha=alpha, dpi=dpi)


def _turned(array: Array, orientation: int) -> Array:
    if orientation >= 5:
        array = array.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    return np.ascontiguousarray(array)
