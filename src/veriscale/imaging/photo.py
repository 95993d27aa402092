"""A photograph: pixels with what must survive from file to file."""

import io
import re
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray
from PIL import Image

from veriscale.errors import InputError
from veriscale.imaging.colour import as_channels, premultiplied, unpremultiplied
from veriscale.imaging.picture import content_hash
from veriscale.imaging.resize import resize
from veriscale.imaging.rounding import quantised

Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Photo:
    """One picture, upright, with what a file of its kind holds beside the pixels.

    Attributes:
        pixels: (H, W, C) float32, C = 1 or 3; in [0, 1] from integer files, as stored from float files.
        alpha: (H, W) float32 or None; straight: the pixels are not multiplied by it.
        bit_depth: 8 or 16 for integer files, 32 for float ones.
        icc: the ICC profile's bytes, or None.
        dpi: pixels per inch along x and y, or None.
        format: the name of a file format: `formats.registry.FORMATS`.
        exif: an EXIF block as `formats.exif.kept` makes it, or None.
        lossy: what it came as, in words such as 'a lossy WebP', where compression has altered it; else None.
    """

    pixels: Array
    alpha: Array | None = None
    bit_depth: int = 8
    icc: bytes | None = None
    dpi: tuple[float, float] | None = None
    format: str = "png"
    exif: bytes | None = None
    lossy: str | None = None

    @property
    def height(self) -> int:
        """Rows."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """Columns."""
        return int(self.pixels.shape[1])

    @property
    def channels(self) -> int:
        """1 for grey, 3 for colour; alpha is not counted."""
        return int(self.pixels.shape[2])

    @property
    def affine(self) -> NDArray[np.float64]:
        """(4, 4), pixels to millimetres: a photograph has none, and a pixel counts as one."""
        return np.eye(4)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        """(H, W) for grey alone, else (H, W, C) with alpha last, as `from_array` takes it."""
        return np.array(interleaved(self, 32), dtype, copy=copy)

    def to_pil(self) -> Image.Image:
        """Pillow's picture of 8 bits, which is all it has for colour, with the profile and the resolution."""
        image = Image.fromarray(interleaved(self, 8))
        image.info |= {k: v for k, v in (("icc_profile", self.icc), ("dpi", self.dpi)) if v is not None}
        return image

    def _repr_png_(self) -> bytes:
        """For a notebook."""
        file = io.BytesIO()
        self.to_pil().save(file, "PNG")
        return file.getvalue()

    def content(self) -> str:
        """A hash of the samples: two pictures do not share their noise."""
        return content_hash(self.pixels)

    def planes(self, channels: int | None = None) -> Array:
        """(C, H, W), the samples times alpha with so many channels; with its own by default."""
        samples = self.pixels if self.alpha is None else premultiplied(self.pixels, self.alpha)
        if channels not in (None, self.channels):
            samples = as_channels(samples, channels or self.channels)
        return np.ascontiguousarray(samples.transpose(2, 0, 1), np.float32)

    def own(self, planes: Array, shape: tuple[int, ...]) -> Array:
        """Planes (C', H', W') cut to `shape` (H, W) and with this picture's channels, (C, H, W)."""
        cut = planes[:, : shape[0], : shape[1]]
        if len(cut) == self.channels:
            return cut
        return as_channels(cut.transpose(1, 2, 0), self.channels).transpose(2, 0, 1)

    def like(self, planes: Array, shape: tuple[int, ...]) -> "Photo":
        """A picture of `shape` (H, W) from planes (C', H', W'), with this one's alpha, profile, EXIF and extent."""
        samples, alpha = self.own(planes, shape).transpose(1, 2, 0), self.alpha
        if alpha is not None:
            alpha = resize(alpha, shape[0], shape[1]).clip(0, 1)
            samples = unpremultiplied(samples, alpha)
        finer = shape[1] / self.width, shape[0] / self.height
        dpi = None if self.dpi is None else (self.dpi[0] * finer[0], self.dpi[1] * finer[1])
        return Photo(samples, alpha, self.bit_depth, self.icc, dpi, self.format, self.exif)

    def cut(self, part: str, name: str) -> "Photo":
        """The part `X,Y,W,H`, in pixels.

        Args:
            part: as a user writes it.
            name: of the picture, for the sentence about a wrong part.

        Raises:
            InputError: it is not written so, or lies outside.
        """
        match = re.fullmatch(r"(\d+),(\d+),(\d+),(\d+)", part)
        x, y, w, h = map(int, match.groups()) if match else (0, 0, 0, 0)
        if not w or not h or x + w > self.width or y + h > self.height:
            raise InputError(f"`--crop` {part} is not X,Y,W,H inside the {self.width}×{self.height} pixels of {name}.")
        alpha = None if self.alpha is None else self.alpha[y : y + h, x : x + w]
        return self.with_pixels(self.pixels[y : y + h, x : x + w], alpha)

    def with_pixels(self, pixels: Array, alpha: Array | None = None) -> "Photo":
        """Other pixels (H', W', C) and alpha (H', W'), the rest kept."""
        return replace(self, pixels=pixels, alpha=alpha)


def from_array(array: NDArray[Any], source: str, *, top: int | None = None) -> Photo:
    """Take pixels as files and callers store them.

    Args:
        array: (H, W), (H, W, 1) grey, (H, W, 2) grey with alpha, (H, W, 3) colour, (H, W, 4) colour with alpha;
            uint8, uint16 or floating point.
        source: what an error names: a file, or an argument.
        top: the integer that means 1; the type's largest by default.

    Raises:
        InputError: another shape or type, no pixels, NaN or infinite values.
    """
    check_kind(array.shape, array.dtype, source)
    if array.ndim == 2:
        array = array[..., None]
    if array.dtype.kind == "u":
        depth = 8 * array.dtype.itemsize
        values = np.divide(array, np.float32(top or np.iinfo(array.dtype).max), dtype=np.float32)
    else:
        depth = 32
        with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite and is refused below
            values = array.astype(np.float32)
        if not np.isfinite(values).all():
            raise InputError(f"{source}: it holds NaN or infinite values; replace them by numbers first")
    if array.shape[2] in (1, 3):
        return Photo(np.ascontiguousarray(values), bit_depth=depth)
    alpha = np.ascontiguousarray(values[..., -1])
    return Photo(np.ascontiguousarray(values[..., :-1]), alpha, bit_depth=depth)


def check_kind(shape: tuple[int, ...], dtype: np.dtype[Any], source: str) -> None:
    """Raise `InputError` for a shape or type that `from_array` does not take, before memory is taken for it."""
    if len(shape) not in (2, 3) or (len(shape) == 3 and not 1 <= shape[2] <= 4):
        raise InputError(
            f"{source}: shape {shape} is not a picture; known: (H, W) or (H, W, C) with 1 to 4 channels, "
            "the 2nd or 4th being alpha"
        )
    if 0 in shape:
        raise InputError(f"{source} is empty: shape {shape} holds no pixels")
    if not (dtype.kind == "f" or (dtype.kind == "u" and dtype.itemsize <= 2)):
        raise InputError(f"{source}: samples of type {dtype} are not known; known: uint8, uint16, float32")


def interleaved(photo: Photo, bit_depth: int, *, alpha: bool = True) -> NDArray[Any]:
    """Interleave pixels and alpha as files store them.

    Returns:
        (H, W) for grey alone, else (H, W, C) with alpha last; uint8, uint16 or, for bit_depth 32, float32.
    """
    planes = [photo.pixels]
    if alpha and photo.alpha is not None:
        planes.append(photo.alpha[..., None])
    stored = [
        plane.astype(np.float32, copy=False) if bit_depth == 32 else quantised(plane, bit_depth) for plane in planes
    ]
    whole = stored[0] if len(stored) == 1 else np.concatenate(stored, axis=2)
    return np.ascontiguousarray(whole[..., 0] if whole.shape[2] == 1 else whole)
