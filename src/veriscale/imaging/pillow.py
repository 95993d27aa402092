"""Pillow's pictures as photographs; `Photo.to_pil` is the way back."""

from dataclasses import replace

import numpy as np
from PIL import Image, ImageOps

from veriscale.errors import InputError
from veriscale.imaging.formats.guard import plausible_dpi
from veriscale.imaging.photo import Photo, from_array

_MODES = ("L", "LA", "RGB", "RGBA", "I;16", "F")


def from_pil(image: Image.Image) -> Photo:
    """A photograph of a picture of Pillow's, turned upright, with its transparency, profile and resolution.

    Raises:
        InputError: its mode holds no grey or colour that we know.
    """
    kind = "jpeg" if image.format in ("JPEG", "MPO") else "png"
    upright = ImageOps.exif_transpose(image)
    info, mode = upright.info, upright.mode
    if mode in ("1", "P", "PA") or "transparency" in info:
        clear = "transparency" in info or mode == "PA"
        upright = upright.convert(("LA" if clear else "L") if mode in ("1", "L") else "RGBA" if clear else "RGB")
    if upright.mode not in _MODES:
        raise InputError(
            f"image: Pillow's mode {mode} is not known; known: {', '.join(_MODES)}, 1 and P; convert it to RGB first"
        )
    dpi = plausible_dpi(*map(float, info["dpi"])) if "dpi" in info else None
    return replace(from_array(np.asarray(upright), "image"), icc=info.get("icc_profile"), dpi=dpi, format=kind)
