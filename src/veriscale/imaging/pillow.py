"""Pillow's pictures as photographs; `Photo.to_pil` is the way back."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from veriscale.errors import InputError
from veriscale.imaging.formats import exif
from veriscale.imaging.formats.guard import decoding, plausible_dpi
from veriscale.imaging.formats.jpeg import said_of
from veriscale.imaging.photo import Photo, from_array

_MODES = ("L", "LA", "RGB", "RGBA", "I;16", "F")


def from_pil(image: Image.Image) -> Photo:
    """A photograph of a picture of Pillow's, turned upright, with its transparency, profile, resolution and EXIF.

    Of what `Image.open` gave, it says whether it is a JPEG, and of which quality; what was made of that says nothing.

    Raises:
        InputError: its mode holds no grey or colour that we know, or its file is damaged.
    """
    with decoding(Path("image"), image.format or "picture"):
        image.load()  # of a TIFF, this turns it upright too
    info, mode, plain = image.info, image.mode, image
    if mode in ("1", "P", "PA") or "transparency" in info:
        clear = "transparency" in info or mode == "PA"
        plain = image.convert(("LA" if clear else "L") if mode in ("1", "L") else "RGBA" if clear else "RGB")
    if plain.mode not in _MODES:
        raise InputError(
            f"image: Pillow's mode {mode} is not known; known: {', '.join(_MODES)}, 1 and P; convert it to RGB first"
        )
    block = info.get("exif") or (image.getexif().tobytes() if image.format == "TIFF" else b"")
    photo = replace(
        from_array(np.asarray(plain), "image"),
        icc=info.get("icc_profile"),
        dpi=plausible_dpi(*map(float, info["dpi"])) if "dpi" in info else None,
        exif=exif.kept(block),
        format="jpeg" if isinstance(image, JpegImageFile) else "png",
        lossy=said_of(image.quantization) if isinstance(image, JpegImageFile) else None,
    )
    return exif.upright(photo, exif.parse(block)[0])
