"""PNG. Pixels go through libpng (imagecodecs), which keeps 16-bit colour; profile and resolution are chunks of ours.

Source: W3C Portable Network Graphics (PNG) Specification, third edition, §5, §11.
"""

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import imagecodecs
from numpy.typing import NDArray

from veriscale.errors import InputError
from veriscale.imaging.formats import exif
from veriscale.imaging.formats.format import Beside, Format
from veriscale.imaging.formats.guard import check_size, decoding, plausible_dpi, unlogged
from veriscale.imaging.photo import Photo, from_array

SIGNATURE = b"\x89PNG\r\n\x1a\n"

_INCH = 0.0254  # metres
_MAX_PROFILE = 1 << 26  # bytes, unpacked: no real profile comes near


def read(path: Path, max_pixels: int) -> Photo:
    """Read grey, colour and palette files of 1 to 16 bits, with or without transparency."""
    orientation, dpi, icc, block = 1, None, None, None
    with decoding(path, "PNG"):
        data = path.read_bytes()
        for name, body in _chunks(data):
            if name == b"IHDR":
                width, height = struct.unpack_from(">II", body)
                check_size(path, width, height, max_pixels)
            elif name == b"acTL" and struct.unpack_from(">I", body)[0] > 1:
                raise InputError(f"{path} is animated; save the frame you want as a picture of its own")
            elif name == b"iCCP":
                icc = _unpacked(body[body.index(b"\0") + 2 :])
            elif name == b"pHYs":
                x, y, unit = struct.unpack_from(">IIB", body)
                dpi = plausible_dpi(x * _INCH, y * _INCH) if unit == 1 else None
            elif name == b"eXIf":
                (orientation, _), block = exif.parse(body), exif.kept(body)
        with unlogged():
            array = imagecodecs.png_decode(data)
    photo = replace(from_array(array, str(path)), icc=icc, dpi=dpi, exif=block, format="png")
    return photo if orientation == 1 else exif.upright(photo, orientation)


def write(pixels: NDArray[Any], beside: Beside, file: IO[bytes]) -> None:
    """Write (H, W) or (H, W, 2 to 4) samples of 8 or 16 bits."""
    # Filtered photographs hold no strings to look for: the file is smaller than without RLE, in a quarter of the time.
    data = imagecodecs.png_encode(pixels, level=6, strategy=imagecodecs.PNG.STRATEGY.RLE)
    header_end = len(SIGNATURE) + 12 + 13
    file.write(data[:header_end])
    if beside.icc is not None:
        file.write(_chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(beside.icc)))
    if beside.dpi is not None:
        file.write(_chunk(b"pHYs", struct.pack(">IIB", *(round(v / _INCH) for v in beside.dpi), 1)))
    if beside.exif is not None:
        file.write(_chunk(b"eXIf", beside.exif))
    file.write(memoryview(data)[header_end:])


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and body of each chunk up to the end; checked here too, for libpng skips a damaged profile in silence."""
    at = len(SIGNATURE)
    while True:
        size, name = struct.unpack_from(">I4s", data, at)
        body = data[at + 8 : at + 8 + size]
        if struct.unpack_from(">I", data, at + 8 + size)[0] != zlib.crc32(body, zlib.crc32(name)):
            raise ValueError(f"checksum of chunk {name!r} is wrong")
        if at == len(SIGNATURE) and name != b"IHDR":
            raise ValueError("the header is missing")
        if name == b"IEND":
            return
        yield name, body
        at += 12 + size


def _unpacked(packed: bytes) -> bytes:
    unpacker = zlib.decompressobj()
    profile = unpacker.decompress(packed, _MAX_PROFILE)
    if not unpacker.eof:
        raise ValueError("the ICC profile is incomplete")
    return profile


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", len(body), name) + body + struct.pack(">I", zlib.crc32(body, zlib.crc32(name)))


PNG = Format(
    "png",
    "PNG",
    (".png",),
    re.escape(SIGNATURE),
    read,
    write,
    (8, 16),
    longest_side=1_000_000,  # of libpng
)
