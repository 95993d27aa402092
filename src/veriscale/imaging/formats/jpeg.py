"""JPEG, through Pillow."""

import io
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from numpy.typing import NDArray
from PIL import Image, JpegImagePlugin

from veriscale.imaging.formats import exif
from veriscale.imaging.formats.format import Beside, Format
from veriscale.imaging.formats.guard import plausible_dpi
from veriscale.imaging.formats.pillow import decoded
from veriscale.imaging.photo import Photo, from_array


def read(path: Path, max_pixels: int) -> Photo:
    """Read 8-bit grey and colour; of a multi-picture file (phones, stereo cameras) the main picture."""
    image, array, _ = decoded(JpegImagePlugin.JpegImageFile, "JPEG", path, max_pixels)
    info = image.info
    orientation, dpi = exif.parse(info.get("exif", b""))
    per_inch = {1: 1.0, 2: 2.54}.get(info.get("jfif_unit", 0))
    if per_inch is not None:
        x, y = info["jfif_density"]
        dpi = plausible_dpi(x * per_inch, y * per_inch)
    photo = replace(
        from_array(array, str(path)),
        icc=info.get("icc_profile"),
        dpi=dpi,
        exif=exif.kept(info.get("exif", b"")),
        format="jpeg",
        lossy=said_of(image.quantization),
    )
    return exif.upright(photo, orientation)


def write(pixels: NDArray[Any], beside: Beside, file: IO[bytes]) -> None:
    """Write (H, W) or (H, W, 3) uint8 at quality 95 by default, colour not subsampled."""
    encoded = io.BytesIO()  # Pillow hides why a write to a real file failed
    kept: dict[str, Any] = {} if beside.dpi is None else {"dpi": beside.dpi}
    if beside.exif is not None:
        kept["exif"] = exif.PREFIX + beside.exif
    quality = 95 if beside.quality is None else beside.quality
    Image.fromarray(pixels).save(encoded, "JPEG", quality=quality, subsampling=0, icc_profile=beside.icc, **kept)
    file.write(encoded.getbuffer())


def said_of(tables: dict[int, list[int]]) -> str | None:
    """What is said of a JPEG with such tables; None without, as where nothing was lost."""
    return f"a JPEG of quality about {_quality(tables)}" if tables else None


def _quality(tables: dict[int, list[int]]) -> int:
    """What libjpeg would have been asked for, by the table for brightness: its sum, or its least where it is cut."""
    table = tables[min(tables)]
    percent = 100 * (min(table) / _LEAST if max(table) == 255 else sum(table) / _SUM)
    return max(1, round(5000 / percent if percent > 100 else 100 - percent / 2))


_SUM, _LEAST = 3688, 10  # of libjpeg's table at quality 50: ITU-T T.81, table K.1
LONGEST_SIDE = 65_500  # of libjpeg
LONGEST_EXIF = 65_527  # of a segment, less the prefix
JPEG = Format(
    "jpeg",
    "JPEG",
    (".jpg", ".jpeg", ".jpe", ".jfif", ".jif"),
    rb"\xff\xd8\xff",
    read,
    write,
    (8,),
    lossless=False,
    graded=True,
    longest_side=LONGEST_SIDE,
    alpha=False,
    longest_exif=LONGEST_EXIF,
)
