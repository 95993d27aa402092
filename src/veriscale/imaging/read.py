"""Reading photographs."""

import os
from pathlib import Path

from veriscale.errors import InputError
from veriscale.imaging.formats.guard import first_bytes
from veriscale.imaging.formats.registry import FORMATS, format_beginning
from veriscale.imaging.photo import Photo

MAX_PIXELS = 256_000_000  # 3 GB of float32 colour


def read_photo(path: str | os.PathLike[str], max_pixels: int = MAX_PIXELS) -> Photo:
    """Read a file of one of `formats.registry.FORMATS`, known by its content and not by its name.

    EXIF orientation is applied, alpha is made straight, palettes become colours; ICC profile and resolution are kept.

    Args:
        path: the file.
        max_pixels: what the file's header may announce at most; guards against decompression bombs.

    Raises:
        InputError: no such file, not an image of these kinds, empty, damaged, truncated, animated or of several pages,
            CMYK, alpha without colour, NaN, too large, or samples of another type than 8 or 16 bits or floating point.
    """
    file = Path(path)
    kind = format_beginning(first_bytes(file, 16, "an image file"))
    if kind is None:
        known = ", ".join(f.title for f in FORMATS.values())
        raise InputError(f"{file} is not an image of a known kind; known: {known}")
    return kind.read(file, max_pixels)
