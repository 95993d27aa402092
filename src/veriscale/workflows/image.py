"""A picture in whatever form Python has it."""

import os
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL.Image import Image as PillowImage
from torch import Tensor

from veriscale.errors import InputError
from veriscale.imaging.photo import Photo, from_array
from veriscale.imaging.pillow import from_pil
from veriscale.imaging.read import read_photo

Image = Photo | NDArray[Any] | Tensor | PillowImage | str | os.PathLike[str]


def as_photo(image: Image) -> Photo:
    """A photograph.

    Args:
        image: a file, itself, a picture of Pillow's, an array (H, W) or (H, W, C), or a tensor (H, W), (C, H, W) or
            (1, C, H, W) on any device; numbers in [0, 1], uint8 or uint16.

    Raises:
        InputError: it cannot be read, is none of these, or holds NaN.
    """
    if isinstance(image, Photo):
        return image
    if isinstance(image, PillowImage):
        return from_pil(image)
    if isinstance(image, Tensor):
        return from_array(_channels_last(image), "image")
    if isinstance(image, np.ndarray):
        return from_array(image, "image")
    if not isinstance(image, str | os.PathLike):
        raise InputError(
            f"image is a {type(image).__name__}; give a file, an array, a tensor, a picture of Pillow's, or of a scan "
            "what `read_volume` reads."
        )
    return read_photo(image)


def _channels_last(x: Tensor) -> NDArray[Any]:
    """(H, W) or (H, W, C)."""
    if x.layout != torch.strided or x.is_meta:
        kind = "meta" if x.is_meta else "sparse"
        raise InputError(f"image: a {kind} tensor has no pixels that can be read; give a dense one of numbers.")
    picture = x[0] if x.ndim == 4 and len(x) == 1 else x
    if picture.ndim not in (2, 3) or (picture.ndim == 3 and len(picture) > 4):
        raise InputError(
            f"image: a tensor of shape {tuple(x.shape)} is not a picture; known: (H, W), (C, H, W) and (1, C, H, W)."
        )
    picture = picture.detach().cpu()
    stored: NDArray[Any] = (picture.float() if picture.is_floating_point() else picture).numpy()
    return np.moveaxis(stored, 0, -1) if stored.ndim == 3 else stored
