"""AVIF; read only. Through Pillow, and above 8 bits, of which Pillow keeps 8, through imagecodecs.

Source: AV1 Codec ISO Media File Format Binding §2.3.3 (av1C); ISO 14496-12 §12.1.5 (colr).
"""

import struct
from dataclasses import replace
from pathlib import Path

import imagecodecs
from PIL import AvifImagePlugin, features

from veriscale.errors import InputError
from veriscale.imaging.formats import exif
from veriscale.imaging.formats.format import Format
from veriscale.imaging.formats.guard import decoding, unlogged
from veriscale.imaging.formats.pillow import decoded
from veriscale.imaging.photo import Photo, from_array

_RGB = 0  # among matrix coefficients: the colours as they are, for compression without loss


def read(path: Path, max_pixels: int) -> Photo:
    """Read a still picture of 8 to 12 bits, with or without alpha."""
    if not features.check("avif"):
        raise InputError(f"{path} is AVIF, which the Pillow installed here cannot read; convert it to PNG")
    image, array, data = decoded(AvifImagePlugin.AvifImageFile, "AVIF", path, max_pixels)
    orientation, dpi = exif.parse(image.info.get("exif", b""))
    with decoding(path, "AVIF"), unlogged():
        flags = data[data.index(b"av1C") + 6]
        bits = (12 if flags & 0x20 else 10) if flags & 0x40 else 8
        if bits > 8:
            array = imagecodecs.avif_decode(data)
    at = data.find(b"colrnclx")
    plain = at >= 0 and struct.unpack_from(">H", data, at + 12)[0] == _RGB
    photo = replace(
        from_array(array, str(path), top=2**bits - 1),
        icc=image.info.get("icc_profile"),
        dpi=dpi,
        exif=exif.kept(image.info.get("exif", b"")),
        format="avif",
        lossy=None if plain else "an AVIF",
    )
    return exif.upright(photo, orientation)


AVIF = Format("avif", "AVIF", (".avif",), rb"....ftypavi[fs]", read)
