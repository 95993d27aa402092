"""Pictures as data: URIs that keep the page below a size a browser and a mail server take."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from veriscale.errors import InputError
from veriscale.imaging.rounding import quantised
from veriscale.report.colourmap import palette

Array = npt.NDArray[np.floating]

BUDGET = 11_000_000  # bytes of all photographs together; base64 adds a third, the maps up to 4 MB
LARGEST_PNG = 4_000_000  # pixels
LARGEST_MAP = 2_000_000


@dataclass(frozen=True)
class Encoding:
    """How all photographs of a page are stored, the same for each, so that comparing them is fair.

    Attributes:
        quality: of the JPEG; None is lossless PNG.
        reduction: factor by which each side is smaller than the picture's.
    """

    quality: int | None
    reduction: int


LADDER = (Encoding(None, 1), Encoding(95, 1), Encoding(85, 1), *(Encoding(90, 2**k) for k in range(1, 7)))


def embed_pictures(pictures: Sequence[Array], budget: int = BUDGET) -> tuple[list[str], Encoding]:
    """Encode photographs alike, as well as the budget allows.

    Args:
        pictures: (H, W, C) arrays with 1 or 3 channels, [0, 1], clipped here.
        budget: bytes before base64.

    Returns:
        One data: URI per picture, and the encoding used.

    Raises:
        InputError: a picture has other than 1 or 3 channels.
    """
    images = [_to_image(picture) for picture in pictures]
    for encoding in LADDER:
        if encoding.quality is None and any(image.width * image.height > LARGEST_PNG for image in images):
            continue
        files = []
        for image in images:
            files.append(_encode(image, encoding))
            if sum(map(len, files)) > budget and encoding is not LADDER[-1]:
                break
        else:
            break
    kind = "png" if encoding.quality is None else "jpeg"
    return [_uri(kind, file) for file in files], encoding


def embed_map(index: npt.NDArray[np.uint8]) -> str:
    """Encode palette rows, (H, W), as a PNG data: URI."""
    image = Image.fromarray(index)
    image.putpalette(palette().tobytes())
    return _uri("png", _save(image, "PNG", optimize=False))


def reduce_map(values: Array) -> tuple[Array, int]:
    """Average blocks of a (H, W) map until it has at most two million pixels; return it with the factor used."""
    factor = 1
    while values.size > LARGEST_MAP * factor**2:
        factor += 1
    if factor == 1:
        return values, 1
    return np.asarray(Image.fromarray(values.astype(np.float32)).reduce(factor)), factor


def _to_image(picture: Array) -> Image.Image:
    if picture.ndim != 3 or picture.shape[2] not in (1, 3):
        raise InputError(f"a report shows pictures (H, W, 1) or (H, W, 3), got {picture.shape}: give grey or RGB")
    levels = quantised(picture)
    return Image.fromarray(levels[..., 0] if levels.shape[2] == 1 else levels)


def _encode(image: Image.Image, encoding: Encoding) -> bytes:
    if encoding.reduction > 1:
        image = image.reduce(encoding.reduction)
    if encoding.quality is None:
        return _save(image, "PNG")
    return _save(image, "JPEG", quality=encoding.quality, subsampling=0)


def _save(image: Image.Image, kind: str, **options: int) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def _uri(kind: str, file: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(file).decode('ascii')}"
