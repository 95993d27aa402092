"""BMP, through Pillow; read only."""

from dataclasses import replace
from pathlib import Path

from PIL import BmpImagePlugin

from veriscale.imaging.formats.format import Format
from veriscale.imaging.formats.guard import plausible_dpi
from veriscale.imaging.formats.pillow import decoded
from veriscale.imaging.photo import Photo, from_array


def read(path: Path, max_pixels: int) -> Photo:
    """Read grey, colour and palettes of 1 to 32 bits a pixel, also run-length encoded."""
    image, array, _ = decoded(BmpImagePlugin.BmpImageFile, "BMP", path, max_pixels)
    return replace(from_array(array, str(path)), dpi=plausible_dpi(*image.info.get("dpi", (0, 0))), format="bmp")


BMP = Format("bmp", "BMP", (".bmp", ".dib"), rb"BM.{12}[\x0c-\x7c]\0", read)  # the second header is 12 to 124 bytes
