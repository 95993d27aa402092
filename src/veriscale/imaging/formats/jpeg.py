"""JPEG, through Pillow."""

import io
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, JpegImagePlugin

from veriscale.errors import InputError
from veriscale.imaging.formats import exif
from veriscale.imaging.formats.format import Format
from veriscale.imaging.formats.guard import check_size, decoding, plausible_dpi, quiet
from veriscale.imaging.photo import Photo, from_array


def read(path: Path, max_pixels: int) -> Photo:
    """Read 8-bit grey and colour; of a multi-picture file (phones, stereo cameras) the main picture."""
    with decoding(path, "JPEG"):
        data = path.read_bytes()
        with quiet():
            # Not Image.open: its own pixel limit is a global of the process, and it would take stereo files for others.
            image = JpegImagePlugin.JpegImageFile(io.BytesIO(data))
        check_size(path, *image.size, max_pixels)
        if image.mode not in ("L", "RGB"):
            raise InputError(f"{path} is {image.mode}, made for print; convert it to RGB first")
        image.load()
        array = np.asarray(image)
        info: dict[str | tuple[int, int], Any] = image.info
    orientation, dpi = exif.parse(info.get("exif", b""))
    per_inch = {1: 1.0, 2: 2.54}.get(info.get("jfif_unit", 0))
    if per_inch is not None:
        x, y = info["jfif_density"]
        dpi = plausible_dpi(x * per_inch, y * per_inch)
    photo = replace(from_array(array, str(path)), icc=info.get("icc_profile"), dpi=dpi, format="jpeg")
    return exif.upright(photo, orientation)


def write(pixels: NDArray[Any], icc: bytes | None, dpi: tuple[float, float] | None, file: IO[bytes]) -> None:
    """Write (H, W) or (H, W, 3) uint8 at quality 95, colour not subsampled."""
    encoded = io.BytesIO()  # Pillow hides why a write to a real file failed
    kept = {} if dpi is None else {"dpi": dpi}
    Image.fromarray(pixels).save(encoded, "JPEG", quality=95, subsampling=0, icc_profile=icc, **kept)
    file.write(encoded.getbuffer())


LONGEST_SIDE = 65_500  # of libjpeg
JPEG = Format("jpeg", "JPEG", (".jpg", ".jpeg"), rb"\xff\xd8\xff", read, write, (8,), False, LONGEST_SIDE, alpha=False)
