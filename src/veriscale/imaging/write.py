"""Writing photographs."""

import os
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np

from veriscale.errors import InputError
from veriscale.imaging.atomic import refuse_existing, replacing
from veriscale.imaging.colour import as_channels
from veriscale.imaging.formats.format import Beside, Format
from veriscale.imaging.formats.registry import FORMATS, format_of
from veriscale.imaging.photo import Photo, interleaved

_COLOUR_SPACES = {b"GRAY": 1, b"RGB ": 3}  # ICC.1:2022, header bytes 16 to 19


def write_photo(
    photo: Photo, path: str | os.PathLike[str], force: bool = False, quality: int | None = None
) -> list[str]:
    """Write a photograph in the format that the extension names; the file appears whole or not at all.

    It gets the smallest of the format's depths that holds the photograph's, else the largest. Values are clipped to
    [0, 1] where integers are stored, and nowhere else.

    Args:
        photo: what to write.
        path: ends in one of `formats.registry.EXTENSIONS`, in either case.
        force: replace a file that is there.
        quality: 1 to 100, of JPEG and WebP; 95 and lossless by default.

    Returns:
        A phrase for each thing the file does not keep, such as 'alpha is not kept: JPEG has none'; often empty.

    Raises:
        InputError: unknown extension, picture too large for the format, a quality that it has not, a file already there
            without `force`, or a folder or disk that refuses it.
    """
    file = Path(path)
    kind = format_of(file)
    check_quality(quality)
    check_graded(quality, file)
    refuse_existing(file, force)  # before the work of encoding
    _check_sides(photo, kind, file)
    depth = next((d for d in kind.depths if d >= photo.bit_depth), kind.depths[-1])
    notes = _notes(photo, kind, depth)
    if not kind.grey:
        photo = photo.with_pixels(as_channels(photo.pixels, 3), photo.alpha)
    pixels = interleaved(photo, depth, alpha=kind.alpha)
    icc = photo.icc if _fits(photo.icc, photo.pixels.shape[2]) else None
    block = photo.exif if _holds(kind, photo.exif) else None
    with replacing(file, force) as temporary, temporary.open("w+b") as stream:
        kind.writer(pixels, Beside(icc, photo.dpi, block, quality), stream)
    return notes


def check_quality(quality: Any) -> None:
    """Raise `InputError` for a quality that is none."""
    whole = isinstance(quality, Integral) and not isinstance(quality, bool)
    if quality is not None and not (whole and 1 <= quality <= 100):
        raise InputError(f"`--quality` {quality!r} is not a whole number from 1 to 100.")


def check_graded(quality: int | None, file: Path) -> None:
    """Raise `InputError` where a quality is asked for that the format of a file's name does not have."""
    if quality is not None and not format_of(file).graded:
        graded = " and ".join(f.title for f in FORMATS.values() if f.graded)
        raise InputError(
            f"`--quality` is for {graded}, and {file.name} is neither; leave it out, or choose one of them."
        )


def _check_sides(photo: Photo, kind: Format, file: Path) -> None:
    if kind.longest_side is not None and max(photo.pixels.shape) > kind.longest_side:
        raise InputError(
            f"cannot write {file}: {photo.width} × {photo.height} is too large for {kind.title}, whose sides end at "
            f"{kind.longest_side}; choose .tif"
        )


def _notes(photo: Photo, kind: Format, depth: int) -> list[str]:
    name = kind.title
    notes = []
    if depth < photo.bit_depth:
        was = "floating point" if photo.bit_depth == 32 else f"{photo.bit_depth}"
        notes.append(f"reduced from {was} to {depth} bits: {name} holds no more")
        outside = float(np.mean((photo.pixels < 0) | (photo.pixels > 1))) if photo.bit_depth == 32 else 0.0
        if outside:
            notes.append(f"clipped to 0..1: {outside:.2%} of the values lay outside")
    if photo.alpha is not None and not kind.alpha:
        notes.append(f"alpha is not kept: {name} has none")
    if photo.pixels.shape[2] == 1 and not kind.grey:
        notes.append(f"grey is stored as RGB: {name} has no grey")
    if photo.icc is not None and not kind.tagged:
        notes.append(f"the ICC profile is not kept: {name} has none")
    elif photo.icc is not None and not _fits(photo.icc, photo.channels if kind.grey else 3):
        notes.append("the ICC profile is not kept: it is for other channels than the picture has")
    if photo.dpi is not None and not kind.tagged:
        notes.append(f"the resolution in dpi is not kept: {name} has none")
    if not _holds(kind, photo.exif):
        notes.append(f"EXIF is not kept: {name} has {'no room for so much' if kind.tagged else 'none'}")
    return notes


def _holds(kind: Format, block: bytes | None) -> bool:
    return block is None or (kind.tagged and (kind.longest_exif is None or len(block) <= kind.longest_exif))


def _fits(icc: bytes | None, channels: int) -> bool:
    return icc is None or _COLOUR_SPACES.get(icc[16:20], channels) == channels
