"""Every file format: by its name, by a file's extension and by a file's first bytes."""

import os
import re
from pathlib import Path

from veriscale.errors import InputError, closest
from veriscale.imaging.formats.avif import AVIF
from veriscale.imaging.formats.bmp import BMP
from veriscale.imaging.formats.format import Format
from veriscale.imaging.formats.gif import GIF
from veriscale.imaging.formats.jpeg import JPEG
from veriscale.imaging.formats.jpeg2000 import JPEG2000
from veriscale.imaging.formats.npy import NPY
from veriscale.imaging.formats.png import PNG
from veriscale.imaging.formats.tiff import TIFF
from veriscale.imaging.formats.webp import WEBP

FORMATS: dict[str, Format] = {f.name: f for f in (PNG, JPEG, TIFF, WEBP, NPY, BMP, GIF, AVIF, JPEG2000)}
EXTENSIONS: dict[str, Format] = {extension: f for f in FORMATS.values() for extension in f.extensions}
_UNREAD = re.compile(
    r"\.(hei[cf]|hif|avifs|apng|jxl|jxr|jp[hm]|qoi|psd|xcf|svg|ico|eps|tga|p[abgpnf]m|exr|hdr|"
    r"dng|cr[23]|nef|arw|orf|rw2|raf|pef|srw)",
    re.IGNORECASE,
)


def format_of(path: str | os.PathLike[str]) -> Format:
    """The format that can be written and that a name's extension, in either case, stands for.

    Raises:
        InputError: it is none of them.
    """
    extension = Path(path).suffix
    kind = EXTENSIONS.get(extension.lower())
    if kind is None or kind.write is None:
        what = f"{extension} is not a known image extension" if extension else "the name has no extension"
        what = what if kind is None else f"{kind.title} is read and not written"
        written = [e for e, f in EXTENSIONS.items() if f.write is not None]
        raise InputError(f"cannot write {path}: {what}; {closest(extension.lower(), written)}")
    return kind


def format_beginning(head: bytes) -> Format | None:
    """The format of a file by its first 16 bytes; None where they are of no known kind."""
    return next((f for f in FORMATS.values() if re.match(f.signature, head, re.DOTALL)), None)


def is_picture(path: Path) -> bool:
    """Whether a file's name says that it is a picture."""
    return path.suffix.lower() in EXTENSIONS


def unread(path: Path) -> bool:
    """Whether a file's name says that it is a picture of a kind that is not read."""
    return _UNREAD.fullmatch(path.suffix) is not None


def keeps_8_bits(path: Path) -> bool:
    """Whether a file of this name holds a picture of 8 bits as it is: neither altered nor in other numbers."""
    kind = EXTENSIONS.get(path.suffix.lower())
    return kind is not None and kind.lossless and 8 in kind.depths


def keeps_floats(path: Path) -> bool:
    """Whether a file of this name holds numbers outside of [0, 1]."""
    kind = EXTENSIONS.get(path.suffix.lower())
    return kind is not None and 32 in kind.depths


def suffixes() -> dict[str, str]:
    """The usual extension of a format that can be written, by its name and by its extensions without the dot."""
    written = [f for f in FORMATS.values() if f.write is not None]
    return {word: f.extensions[0] for f in written for word in (f.name, *(e[1:] for e in f.extensions))}
