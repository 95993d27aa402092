"""WebP. Read through imagecodecs, for Pillow's limit on pixels is a global of the process; written through Pillow.

Source: RFC 9649 §2.
"""

import io
import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import imagecodecs
from numpy.typing import NDArray
from PIL import Image

from veriscale.errors import InputError
from veriscale.imaging.formats import exif
from veriscale.imaging.formats.format import Beside, Format
from veriscale.imaging.formats.guard import check_size, decoding, unlogged
from veriscale.imaging.photo import Photo, from_array


def read(path: Path, max_pixels: int) -> Photo:
    """Read a still picture, colour, with or without alpha."""
    orientation, dpi, icc, block, pictures = 1, None, None, None, 0
    lossy: str | None = None
    with decoding(path, "WebP"):
        data = path.read_bytes()
        for name, body in _chunks(data):
            if name in (b"ANIM", b"ANMF"):
                raise InputError(f"{path} is animated; save the frame you want as a picture of its own")
            if name in (b"VP8 ", b"VP8L"):
                check_size(path, *_size(name, body), max_pixels)
                pictures += 1
                lossy = "a lossy WebP" if name == b"VP8 " else None
            elif name == b"ICCP":
                icc = body
            elif name == b"EXIF":
                (orientation, dpi), block = exif.parse(body), exif.kept(body)
        if pictures != 1:
            raise ValueError(f"{pictures} pictures where one was expected")
        with unlogged():
            array = imagecodecs.webp_decode(data)
    photo = replace(from_array(array, str(path)), icc=icc, dpi=dpi, exif=block, format="webp", lossy=lossy)
    return exif.upright(photo, orientation)


def write(pixels: NDArray[Any], beside: Beside, file: IO[bytes]) -> None:
    """Write (H, W, 3 or 4) uint8, lossless by default, colours under full transparency included."""
    encoded = io.BytesIO()  # Pillow hides why a write to a real file failed
    block = beside.exif if beside.dpi is None else exif.with_dpi(beside.exif, beside.dpi)
    kept: dict[str, Any] = {} if block is None else {"exif": block}
    grade = {"lossless": True} if beside.quality is None else {"quality": beside.quality}
    Image.fromarray(pixels).save(encoded, "WEBP", exact=True, icc_profile=beside.icc or b"", **grade, **kept)
    file.write(encoded.getbuffer())


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    (size,) = struct.unpack_from("<I", data, 4)
    at, end = 12, 8 + size
    if end > len(data):
        raise ValueError(f"{end} bytes announced, {len(data)} there")
    while at + 8 <= end:
        name, size = struct.unpack_from("<4sI", data, at)
        if at + 8 + size > end:
            raise ValueError(f"chunk {name!r} ends after the file")
        yield name, data[at + 8 : at + 8 + size]
        at += 8 + size + size % 2


def _size(name: bytes, body: bytes) -> tuple[int, int]:
    if name == b"VP8 ":  # 14 bits each, above them a scaling hint
        width, height = struct.unpack_from("<HH", body, 6)
        return width & 0x3FFF, height & 0x3FFF
    (bits,) = struct.unpack_from("<I", body, 1)
    return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1


LONGEST_SIDE = 16_383  # of libwebp
WEBP = Format(
    "webp",
    "WebP",
    (".webp",),
    rb"RIFF....WEBP",
    read,
    write,
    (8,),
    graded=True,
    longest_side=LONGEST_SIDE,
    grey=False,
)
