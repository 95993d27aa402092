"""GIF, through Pillow; read only."""

from dataclasses import replace
from pathlib import Path

from PIL import GifImagePlugin

from veriscale.imaging.formats.format import Format
from veriscale.imaging.formats.pillow import decoded
from veriscale.imaging.photo import Photo, from_array


def read(path: Path, max_pixels: int) -> Photo:
    """Read a still picture, with or without transparency."""
    _, array, _ = decoded(GifImagePlugin.GifImageFile, "GIF", path, max_pixels)
    return replace(from_array(array, str(path)), format="gif")


GIF = Format("gif", "GIF", (".gif",), rb"GIF8[79]a", read)
