"""Writing photographs."""

import os
from pathlib import Path

import numpy as np

from veriscale.errors import InputError, closest
from veriscale.imaging.atomic import refuse_existing, replacing
from veriscale.imaging.colour import as_channels
from veriscale.imaging.formats import jpeg, npy, png, tiff, webp
from veriscale.imaging.photo import Photo, pixels

EXTENSIONS = {
    ".png": "png",
    ".jpg": "jpeg",
    ".jpeg": "jpeg",
    ".tif": "tiff",
    ".tiff": "tiff",
    ".webp": "webp",
    ".npy": "npy",
}

_NAMES = {"png": "PNG", "jpeg": "JPEG", "tiff": "TIFF", "webp": "WebP", "npy": "NPY"}
_DEPTHS = {"png": (8, 16), "jpeg": (8,), "tiff": (8, 16, 32), "webp": (8,), "npy": (32,)}
_LONGEST_SIDE = {"png": 1_000_000, "jpeg": 65_500, "webp": 16_383}  # of libpng, libjpeg and libwebp
_COLOUR_SPACES = {b"GRAY": 1, b"RGB ": 3}  # ICC.1:2022, header bytes 16 to 19


def write_photo(photo: Photo, path: str | os.PathLike[str], force: bool = False) -> list[str]:
    """Write a photograph in the format that the extension names; the file appears whole or not at all.

    PNG has 8 or 16 bits (16 for float photographs), TIFF also float32, JPEG 8 bits (quality 95, 4:4:4), WebP 8 bits
    (lossless), NPY float32. Values are clipped to [0, 1] where integers are stored, and nowhere else.

    Args:
        photo: what to write.
        path: ends in one of `EXTENSIONS`, in either case.
        force: replace a file that is there.

    Returns:
        A phrase for each thing the file does not keep, such as 'alpha is not kept: JPEG has none'; often empty.

    Raises:
        InputError: unknown extension, picture too large for the format, a file already there without `force`, or a
            folder or disk that refuses it.
    """
    file = Path(path)
    kind = format_of(file)
    refuse_existing(file, force)  # before the work of encoding
    _check_sides(photo, kind, file)
    depth = min((d for d in _DEPTHS[kind] if d >= photo.bit_depth), default=max(_DEPTHS[kind]))
    notes = _notes(photo, kind, depth)
    if kind == "webp":
        photo = photo.with_samples(as_channels(photo.samples, 3), photo.alpha)
    samples = pixels(photo, depth, alpha=kind != "jpeg")
    icc = photo.icc if _fits(photo.icc, photo.channels) else None
    with replacing(file, force) as temporary, temporary.open("wb") as stream:
        if kind == "npy":
            npy.write(samples, stream)
        else:
            {"png": png, "jpeg": jpeg, "tiff": tiff, "webp": webp}[kind].write(samples, icc, photo.dpi, stream)
    return notes


def format_of(path: str | os.PathLike[str]) -> str:
    """'png', 'jpeg', 'tiff', 'webp' or 'npy', by the extension; `InputError` for any other."""
    extension = Path(path).suffix
    if extension.lower() not in EXTENSIONS:
        what = f"{extension} is not a known image extension" if extension else "the name has no extension"
        raise InputError(f"cannot write {path}: {what}; {closest(extension.lower(), EXTENSIONS)}")
    return EXTENSIONS[extension.lower()]


def _check_sides(photo: Photo, kind: str, file: Path) -> None:
    longest = max(photo.height, photo.width)
    if longest > _LONGEST_SIDE.get(kind, longest):
        raise InputError(
            f"cannot write {file}: {photo.width} × {photo.height} is too large for {_NAMES[kind]}, whose sides end at "
            f"{_LONGEST_SIDE[kind]}; choose .tif"
        )


def _notes(photo: Photo, kind: str, depth: int) -> list[str]:
    name = _NAMES[kind]
    notes = []
    if depth < photo.bit_depth:
        was = "floating point" if photo.bit_depth == 32 else f"{photo.bit_depth}"
        notes.append(f"reduced from {was} to {depth} bits: {name} holds no more")
        outside = float(np.mean((photo.samples < 0) | (photo.samples > 1))) if photo.bit_depth == 32 else 0.0
        if outside:
            notes.append(f"clipped to 0..1: {outside:.2%} of the values lay outside")
    if photo.alpha is not None and kind == "jpeg":
        notes.append(f"alpha is not kept: {name} has none")
    if photo.channels == 1 and kind == "webp":
        notes.append(f"grey is stored as RGB: {name} has no grey")
    if photo.icc is not None and kind == "npy":
        notes.append(f"the ICC profile is not kept: {name} has none")
    elif photo.icc is not None and not _fits(photo.icc, 3 if kind == "webp" else photo.channels):
        notes.append("the ICC profile is not kept: it is for other channels than the picture has")
    if photo.dpi is not None and kind == "npy":
        notes.append(f"the resolution in dpi is not kept: {name} has none")
    return notes


def _fits(icc: bytes | None, channels: int) -> bool:
    return icc is None or _COLOUR_SPACES.get(icc[16:20], channels) == channels
