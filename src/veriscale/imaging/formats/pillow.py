"""Reading through Pillow: by a format's own plugin and behind the same guards as everything else."""

import io
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import ImageFile

from veriscale.errors import InputError
from veriscale.imaging.formats.guard import check_size, decoding, quiet

Plugin = TypeVar("Plugin", bound=ImageFile.ImageFile)


def decoded(plugin: type[Plugin], title: str, path: Path, max_pixels: int) -> tuple[Plugin, NDArray[Any], bytes]:
    """The only picture of a file.

    Args:
        plugin: Pillow's for the format. Not Image.open, whose limit on pixels is a global of the process, and which
            would take stereo JPEGs for something else.
        title: of the format.
        path: the file.
        max_pixels: what the header may announce.

    Returns:
        Pillow's image; the samples, (H, W) or (H, W, 2 to 4), palettes as their colours; the file's bytes.

    Raises:
        InputError: damaged, truncated, too large, animated, or colours for print.
    """
    with decoding(path, title):
        data = path.read_bytes()
        with quiet():
            image = plugin(io.BytesIO(data))
            check_size(path, *image.size, max_pixels)
            if getattr(image, "is_animated", False):
                raise InputError(f"{path} is animated; save the frame you want as a picture of its own")
        clear = "RGBA" if "transparency" in image.info else "RGB"
        mode = {"1": "L", "P": clear, "PA": "RGBA"}.get(image.mode, image.mode)
        if mode not in ("L", "LA", "RGB", "RGBA", "I;16"):
            raise InputError(f"{path} is {mode}, made for print; convert it to RGB first")
        image.load()
        return image, np.asarray(image if mode == image.mode else image.convert(mode)), data
