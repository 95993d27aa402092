"""TIFF, through tifffile.

Source: TIFF 6.0 (Adobe 1992) and its Technical Note 2 for ExtraSamples.
"""

import math
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from veriscale.errors import InputError
from veriscale.imaging.colour import unpremultiplied
from veriscale.imaging.formats import exif
from veriscale.imaging.formats.format import Beside, Format
from veriscale.imaging.formats.guard import check_size, decoding, plausible_dpi, quiet
from veriscale.imaging.photo import Photo, from_array

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _MASK, _CMYK, _YCBCR = range(7)
_PREMULTIPLIED, _STRAIGHT = 1, 2
_JPEG = (6, 7, 34892)  # compressions that bring YCbCr back to RGB
_PLANES = 2  # a value of PlanarConfiguration
_REDUCED_OR_MASK = 1 | 4  # bits of NewSubfileType


def read(path: Path, max_pixels: int) -> Photo:
    """Read grey, colour and palette files of 1 to 16 bits or floating point, in strips or tiles, also with alpha."""
    with decoding(path, "TIFF"), quiet(), tifffile.TiffFile(path, is_ome=False) as file:
        page = _only_page(file, path)
        _check(page, path, max_pixels)
        array = page.asarray()
        rows, columns, channels = page.imagelength, page.imagewidth, page.samplesperpixel
        if page.planarconfig == _PLANES:
            array = np.moveaxis(array.reshape(channels, rows, columns), 0, -1)
        array = array.reshape(rows, columns, channels)
        if page.photometric == _PALETTE:
            array = _colours(array, page.colormap)
        elif array.dtype == bool:
            array = array.astype(np.uint8)
        icc, dpi = page.iccprofile, _dpi(page)
        orientation = int(page.tags.valueof(exif.ORIENTATION, 1))
        block = exif.kept(
            file.filehandle, {exif.DESCRIPTION} if page.is_shaped or page.is_imagej or page.is_ome else ()
        )
        lossy = "a TIFF with JPEG compression" if page.compression in _JPEG else None
    photo = from_array(array, str(path), top=_top(page))
    samples, alpha = photo.pixels, photo.alpha
    if page.photometric == _WHITE_IS_ZERO:
        samples = 1 - samples
    if alpha is not None and page.extrasamples[0] == _PREMULTIPLIED:
        samples = unpremultiplied(samples, alpha)
        if photo.bit_depth < 32:  # rounding may leave a colour a step above its alpha
            samples = np.minimum(samples, 1)
    photo = Photo(samples, alpha, photo.bit_depth, icc, dpi, "tiff", block, lossy)
    return exif.upright(photo, orientation if 1 <= orientation <= 8 else 1)


def write(pixels: NDArray[Any], beside: Beside, file: IO[bytes]) -> None:
    """Write (H, W) or (H, W, 2 to 4) uint8, uint16 or float32, deflated; alpha is marked as straight."""
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    tifffile.imwrite(
        file,
        pixels,
        photometric="rgb" if channels >= 3 else "minisblack",
        planarconfig="contig" if channels > 1 else None,
        extrasamples=["unassalpha"] if channels in (2, 4) else None,
        compression="adobe_deflate",
        predictor=pixels.dtype.kind == "u",  # the one for floats is not widely read
        iccprofile=beside.icc,
        resolution=beside.dpi,
        resolutionunit="INCH" if beside.dpi is not None else None,
        metadata=None,
        software=False,
        byteorder=None if beside.exif is None else exif.byte_order(beside.exif),
    )
    if beside.exif is not None:
        exif.add_to_tiff(file, beside.exif)


def _only_page(file: tifffile.TiffFile, path: Path) -> Any:
    every: Any = file.pages
    pages = list(islice((page for page in every if not page.subfiletype & _REDUCED_OR_MASK), 2))
    page = pages[0] if pages else every[0]
    # ImageJ and tifffile may keep a stack behind a single page and say so in its description alone
    said = [(file.imagej_metadata or {}).get("images", 1)]
    said += [math.prod(each.get("shape", (page.size,))) / page.size for each in file.shaped_metadata or ()]
    if len(pages) > 1 or max(said) > 1:
        raise InputError(f"{path} holds several pages; save the page you want as a picture of its own")
    return page


def _check(page: Any, path: Path, max_pixels: int) -> None:
    """Refuse by the tags, before memory is taken, what would come out wrong or not at all."""
    check_size(path, page.imagewidth, page.imagelength, max_pixels)
    if page.imagedepth != 1:
        raise InputError(f"{path} is a volume of {page.imagedepth} slices; save the slice you want as a picture")
    if page.is_tiled and page.tilewidth * page.tilelength > max(max_pixels, 1 << 20):
        raise ValueError(f"tiles of {page.tilewidth} × {page.tilelength}")
    photometric, extra = page.photometric, len(page.extrasamples)
    if photometric == _CMYK:
        raise InputError(f"{path} is CMYK, made for print; convert it to RGB first")
    if photometric == _MASK or extra >= page.samplesperpixel:
        raise InputError(f"{path} holds only an alpha channel and no colour; give a picture with grey or RGB samples")
    if photometric not in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE) and not (
        photometric == _YCBCR and page.compression in _JPEG
    ):
        name = getattr(photometric, "name", photometric)
        raise InputError(f"{path} has colours of kind {name}; known: grey, RGB and palette; convert it first")
    colours = page.samplesperpixel - extra
    if colours != (3 if photometric in (_RGB, _YCBCR) else 1):
        raise InputError(f"{path} has {colours} channels beside alpha; known: 1 (grey) and 3 (RGB)")
    if extra and (extra > 1 or page.extrasamples[0] not in (_PREMULTIPLIED, _STRAIGHT) or photometric == _PALETTE):
        raise InputError(f"{path} has extra channels that are not marked as alpha; remove them, or mark one as alpha")
    if page.dtype is None or page.dtype.kind not in "buf" or (page.dtype.kind == "u" and page.dtype.itemsize > 2):
        raise InputError(f"{path}: samples of type {page.dtype} are not known; known: uint8, uint16, float32")
    if page.dtype.kind == "f" and photometric in (_WHITE_IS_ZERO, _PALETTE):
        raise InputError(
            f"{path} holds floating-point samples with white as zero or a palette; save it as black-is-zero"
        )
    _check_segments(page)


def _check_segments(page: Any) -> None:
    """tifffile takes a missing strip or tile for a black one; a picture with holes is a truncated one."""
    expected = math.prod(page.chunked)
    segments = list(zip(page.dataoffsets, page.databytecounts, strict=False))
    size = page.parent.filehandle.size
    whole = sum(1 for offset, count in segments if offset > 0 and count > 0 and offset + count <= size)
    if whole < expected:
        raise ValueError(f"{expected - whole} of {expected} strips or tiles are missing")


def _top(page: Any) -> int | None:
    """The integer that means 1: 4095 for 12 bits in a uint16."""
    return None if page.photometric == _PALETTE or page.dtype.kind == "f" else int(2**page.bitspersample - 1)


def _colours(indices: NDArray[Any], colormap: NDArray[np.uint16] | None) -> NDArray[np.uint8]:
    """Colours of 8 bits: their high byte is exact whether a writer spread them by 256 or by 257; some did neither."""
    if colormap is None or int(indices.max()) >= colormap.shape[1]:
        raise ValueError("its palette is incomplete")
    eight = (colormap >> 8 if colormap.max() > 255 else colormap).astype(np.uint8)
    return np.asarray(eight.T[indices[..., 0].astype(np.intp)])


def _dpi(page: Any) -> tuple[float, float] | None:
    per_inch = {exif.INCH: 1.0, exif.CENTIMETRE: 2.54}.get(int(page.tags.valueof(exif.RESOLUTION_UNIT, exif.INCH)))
    x, y = (page.tags.valueof(tag) for tag in (exif.X_RESOLUTION, exif.Y_RESOLUTION))
    if per_inch is None or x is None or y is None or not x[1] or not y[1]:
        return None
    return plausible_dpi(x[0] / x[1] * per_inch, y[0] / y[1] * per_inch)


TIFF = Format("tiff", "TIFF", (".tif", ".tiff"), rb"II\*\0|MM\0\*|II\+\0|MM\0\+", read, write, depths=(8, 16, 32))
