"""EXIF: orientation and resolution, which a picture's pixels depend on, and what a restored picture keeps of the rest.

Read by hand, for a damaged EXIF block must not make a sound picture unreadable, nor print; what is kept is kept to the
byte. Source: CIPA DC-008 (Exif 2.32) §4.6; TIFF 6.0 §2.
"""

import io
import os
import struct
from collections.abc import Collection, Container, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import IO, Any, Literal

import numpy as np
from PIL import Image

from veriscale.imaging.formats.guard import plausible_dpi
from veriscale.imaging.photo import Array, Photo

DESCRIPTION, ORIENTATION, X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 270, 274, 282, 283, 296
INCH, CENTIMETRE = 2, 3
PREFIX = b"Exif\0\0"  # in JPEG

_SHORT, _LONG, _RATIONAL, _LONG_OF_8 = 3, 4, 5, 18
_SIZES = {1: 1, 2: 1, _SHORT: 2, _LONG: 4, _RATIONAL: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, _LONG_OF_8: 8}
_CAMERA, _GPS = 34665, 34853  # the folders below the first
# Of the first folder: description, camera, software, date, artist, host, rating, copyright, and five of Windows.
_KEPT = {DESCRIPTION, 271, 272, 305, 306, 315, 316, 18246, 33432, *range(40091, 40096)}
# Untrue of a restored picture: coding, compression, what counts its pixels or those of the sensor, the rules of a
# camera's file system, and the maker's note, with previews and with places in a file that it is no longer in.
_UNTRUE = {37121, 37122, 37396, 37500, 40962, 40963, 40965, 41486, 41487, 41488, 41492}
_ENTRIES, _ROOM = 1 << 16, 1 << 20  # most tags of a folder, and bytes of what they hold in all
_DAMAGE = (struct.error, KeyError, OverflowError, OSError)

Tags = dict[int, "tuple[int, bytes] | bytes | Tags"]
"""Kind and content, an entry as it stands in its file, or a folder below."""


@dataclass(frozen=True)
class _Tiff:
    """A TIFF structure: its byte order, and whether its counts and places are numbers of 8 bytes."""

    file: IO[bytes]
    order: str
    big: bool

    @classmethod
    def of(cls, file: IO[bytes]) -> "_Tiff":
        file.seek(0)
        starts = {b"II*\0": ("<", False), b"MM\0*": (">", False), b"II+\0": ("<", True), b"MM\0+": (">", True)}
        return cls(file, *starts[file.read(4)])

    @property
    def number(self) -> str:
        return "Q" if self.big else "I"

    @property
    def width(self) -> int:
        """Bytes of a count or place, and where the place of the first folder stands."""
        return 8 if self.big else 4

    def at(self, place: int, form: str) -> tuple[Any, ...]:
        self.file.seek(place)
        return struct.unpack(self.order + form, self.file.read(struct.calcsize(self.order + form)))

    def entries(self, folder: int) -> Iterator[bytes]:
        """The entries of a folder, each with its tag, kind, count, and content or the place of that."""
        form = "Q" if self.big else "H"
        (count,) = self.at(folder, form)
        size = 20 if self.big else 12
        for k in range(min(count, _ENTRIES)):
            yield self.at(folder + struct.calcsize(form) + k * size, f"{size}s")[0]

    def values(self, folder: int, without: Container[int] = ()) -> dict[int, tuple[int, bytes]]:
        """Kind and content of the other tags, up to the first that is damaged and without what is too large."""
        found: dict[int, tuple[int, bytes]] = {}
        room = _ROOM
        with suppress(*_DAMAGE):
            for entry in self.entries(folder):
                tag, kind, count = struct.unpack_from(f"{self.order}HH{self.number}", entry)
                body, size = entry[-self.width :], _SIZES.get(kind, 0) * count
                if tag in without or not 0 < size <= room:
                    continue
                if len(body) < size:
                    (body,) = self.at(struct.unpack(self.order + self.number, body)[0], f"{size}s")
                found[tag], room = (kind, body[:size]), room - size
        return found

    def first(self) -> dict[int, tuple[int, bytes]]:
        """Those of the first folder."""
        return self.values(self.at(self.width, self.number)[0])

    def value(self, found: tuple[int, bytes] | None, usual: float) -> float:
        """A number that is a whole one or a ratio."""
        kind, body = found or (0, b"")
        if kind == _RATIONAL:
            above, below = struct.unpack_from(self.order + "II", body)
            return above / below if below else 0.0
        form = {_SHORT: "H", _LONG: "I", _LONG_OF_8: "Q"}.get(kind)
        return struct.unpack_from(self.order + form, body)[0] if form else usual

    def true(self) -> Tags:
        """What is true of a restored picture too."""
        first = self.first()
        tags: Tags = {tag: value for tag, value in first.items() if tag in _KEPT}
        for folder in first.keys() & {_CAMERA, _GPS}:
            tags[folder] = {**self.values(int(self.value(first[folder], 0)), _UNTRUE)}
        return {tag: value for tag, value in tags.items() if value}


def parse(block: bytes) -> tuple[int, tuple[float, float] | None]:
    """Orientation (1 to 8; 1 where none is given) and dpi of an EXIF block, with or without its `Exif` prefix."""
    try:
        tiff = _Tiff.of(io.BytesIO(block.removeprefix(PREFIX)))
        tags = tiff.first()
    except _DAMAGE:
        return 1, None
    orientation = int(tiff.value(tags.get(ORIENTATION), 1))
    unit = {INCH: 1.0, CENTIMETRE: 2.54}.get(int(tiff.value(tags.get(RESOLUTION_UNIT), INCH)), 0.0)
    x, y = (unit * tiff.value(tags.get(tag), 0) for tag in (X_RESOLUTION, Y_RESOLUTION))
    return (orientation if 1 <= orientation <= 8 else 1), plausible_dpi(x, y)


def kept(source: Any, without: Collection[int] = ()) -> bytes | None:
    """What a restored picture keeps of an EXIF block, or of a TIFF file: all that camera and photographer say.

    The place is among it; orientation, resolution, thumbnail, numbers of pixels and the maker's note are not.

    Args:
        source: the block as bytes, with or without prefix, or the open file.
        without: tags of the first folder that are not kept either.

    Returns:
        A block without prefix; None where there is nothing to keep, or it is damaged.
    """
    try:
        tiff = _Tiff.of(io.BytesIO(source.removeprefix(PREFIX)) if isinstance(source, bytes) else source)
        tags = {tag: value for tag, value in tiff.true().items() if tag not in without}
    except _DAMAGE:
        return None
    return _block(tiff.order, tags) if tags else None


def with_dpi(block: bytes | None, dpi: tuple[float, float]) -> bytes:
    """A block, as `kept` makes it, with a resolution, or one that holds nothing else."""
    exif = Image.Exif()
    exif[X_RESOLUTION], exif[Y_RESOLUTION], exif[RESOLUTION_UNIT] = dpi[0], dpi[1], INCH
    if block is None:
        return exif.tobytes()
    tiff = _Tiff.of(io.BytesIO(block))
    exif.endian = tiff.order
    resolution = _Tiff.of(io.BytesIO(exif.tobytes().removeprefix(PREFIX))).first()
    return _block(tiff.order, {**tiff.true(), **resolution})


def add_to_tiff(file: IO[bytes], block: bytes) -> None:
    """Add a block, as `kept` makes it, to a TIFF file of one page in the block's byte order."""
    tiff = _Tiff.of(file)
    (folder,) = tiff.at(tiff.width, tiff.number)
    own: Tags = {struct.unpack_from(tiff.order + "H", entry)[0]: entry for entry in tiff.entries(folder)}
    end = file.seek(0, os.SEEK_END)
    end += file.write(bytes(end % 2))
    file.write(_folder(tiff.order, {**_Tiff.of(io.BytesIO(block)).true(), **own}, end, tiff.big))
    file.seek(tiff.width)
    file.write(struct.pack(tiff.order + tiff.number, end))


def byte_order(block: bytes) -> Literal["<", ">"]:
    """Of a block."""
    return "<" if _Tiff.of(io.BytesIO(block)).order == "<" else ">"


def _block(order: str, tags: Tags) -> bytes:
    return {"<": b"II*\0\x08\0\0\0", ">": b"MM\0*\0\0\0\x08"}[order] + _folder(order, tags, 8)


def _folder(order: str, tags: Tags, place: int, big: bool = False) -> bytes:
    """A folder at a place of its file, the contents of its tags behind it."""
    count, number, width = ("Q", "Q", 8) if big else ("H", "I", 4)
    head, bodies = struct.pack(order + count, len(tags)), b""
    behind = place + len(head) + len(tags) * (4 + 2 * width) + width
    for tag, value in sorted(tags.items()):
        if isinstance(value, bytes):
            head += value
            continue
        if isinstance(value, dict):
            kind, body = (_LONG_OF_8 if big else _LONG), struct.pack(order + number, behind + len(bodies))
            bodies += _folder(order, value, behind + len(bodies), big)
        else:
            kind, body = value
        head += struct.pack(f"{order}HH{number}", tag, kind, len(body) // _SIZES[kind])
        if len(body) > width:
            head += struct.pack(order + number, behind + len(bodies))
            bodies += body + bytes(len(body) % 2)
        else:
            head += body.ljust(width, b"\0")
    return head + bytes(width) + bodies


def upright(photo: Photo, orientation: int) -> Photo:
    """Turn and mirror a picture as its orientation asks; its resolution turns with it."""
    if orientation == 1:
        return photo
    alpha = None if photo.alpha is None else _turned(photo.alpha, orientation)
    dpi = photo.dpi[::-1] if photo.dpi and orientation >= 5 else photo.dpi
    return replace(photo, pixels=_turned(photo.pixels, orientation), alpha=alpha, dpi=dpi)


def _turned(array: Array, orientation: int) -> Array:
    if orientation >= 5:
        array = array.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    return np.ascontiguousarray(array)
