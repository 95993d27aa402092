"""JPEG 2000; read only. Through Pillow, and above 8 bits, of which Pillow keeps 8, through imagecodecs.

Source: ITU-T T.800 §A.5.1 (SIZ), §A.6.1 (COD).
"""

from dataclasses import replace
from pathlib import Path

import imagecodecs
from PIL import Jpeg2KImagePlugin, features

from veriscale.errors import InputError
from veriscale.imaging.formats.format import Format
from veriscale.imaging.formats.guard import decoding, plausible_dpi, unlogged
from veriscale.imaging.formats.pillow import decoded
from veriscale.imaging.photo import Photo, from_array


def read(path: Path, max_pixels: int) -> Photo:
    """Read files and bare codestreams of 1 to 16 bits, grey or colour, with or without alpha."""
    if not features.check("jpg_2000"):
        raise InputError(f"{path} is JPEG 2000, which the Pillow installed here cannot read; convert it to PNG")
    image, array, data = decoded(Jpeg2KImagePlugin.Jpeg2KImageFile, "JPEG 2000", path, max_pixels)
    with decoding(path, "JPEG 2000"), unlogged():
        siz = data.index(b"\xff\x4f\xff\x51")
        channels = int.from_bytes(data[siz + 40 : siz + 42])
        bits = max(data[siz + 42 : siz + 42 + 3 * channels : 3]) + 1
        irreversible = data[data.index(b"\xff\x52", siz) + 13] == 0
        colours = data.find(b"colr\x02", 0, siz)  # a box with a profile
        icc = data[colours + 7 : colours - 4 + int.from_bytes(data[colours - 4 : colours])] if colours > 0 else None
        if bits > 8:
            array = imagecodecs.jpeg2k_decode(data)
    return replace(
        from_array(array, str(path), top=2**bits - 1 if bits > 8 else None),
        icc=icc,
        dpi=plausible_dpi(*image.info.get("dpi", (0, 0))),
        format="jp2",
        lossy="a lossy JPEG 2000" if irreversible else None,
    )


JPEG2000 = Format(
    "jp2",
    "JPEG 2000",
    (".jp2", ".j2k", ".jpf", ".jpx", ".j2c", ".jpc"),
    rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51",
    read,
)
