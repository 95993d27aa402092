"""The samples of one slice, in the scanner's units."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from veriscale.errors import InputError
from veriscale.imaging.dicom.attribute import identifier, number, slice_name, value
from veriscale.imaging.dicom.validation import as_they_stand

if TYPE_CHECKING:
    from pydicom import Dataset

_PACKAGES = ("libjpeg", "openjpeg", "rle")  # the plugins of pylibjpeg
_BITS = (1, 8, 16, 32)


def check_decodable(header: "Dataset") -> None:
    """Raise `InputError` where the pixels are compressed and nothing here can decompress them."""
    from pydicom.pixels.decoders.base import get_decoder

    syntax = identifier(header.file_meta, "TransferSyntaxUID")
    if not syntax:
        raise InputError(f"the file of {slice_name(header)} names no transfer syntax; repair or export it again")
    if not syntax.is_transfer_syntax or (syntax.is_encapsulated and not _has_decoder(syntax)):
        known = syntax.is_transfer_syntax
        raise InputError(
            f"the pixels are compressed ({syntax.name if known else 'in a private way'}), for which no decoder can be "
            "had; export the series uncompressed (Explicit VR Little Endian)"
        )
    if syntax.is_encapsulated and not (decoder := get_decoder(syntax)).is_available:
        plugins = [
            f"pylibjpeg-{each}" for each in _PACKAGES if f"pylibjpeg-{each}" in str(decoder.missing_dependencies)
        ]
        raise InputError(
            f"the pixels are compressed ({syntax.name}) and no decoder is installed; "
            f"`pip install {' '.join(['pylibjpeg', *plugins])}`, or export the series uncompressed"
        )


def rescale(header: "Dataset") -> tuple[float, float]:
    """RescaleSlope and RescaleIntercept, 1 and 0 where absent.

    Raises:
        InputError: a slope of 0.
    """
    slope, intercept = number(header, "RescaleSlope"), number(header, "RescaleIntercept")
    if slope == 0:
        raise InputError(f"RescaleSlope of {slice_name(header)} is 0; repair the header")
    return 1.0 if slope is None else slope, intercept or 0.0


def read_pixels(file: Path, header: "Dataset") -> NDArray[np.float64]:
    """The samples (rows, columns), float64, slope and intercept applied.

    Raises:
        InputError: pixel data absent, truncated or damaged.
    """
    slope, intercept = rescale(header)
    return _stored(file, header).astype(np.float64) * slope + intercept


def _stored(file: Path, header: "Dataset") -> NDArray[Any]:
    import pydicom

    cut = InputError(
        f"the pixel data of {slice_name(header)} are truncated or damaged; copy or export the series again"
    )
    shape = int(header.Rows), int(header.Columns)
    bits = int(value(header, "BitsAllocated") or 0)
    if bits not in _BITS:
        raise InputError(
            f"BitsAllocated of {slice_name(header)} is {bits or 'absent'}; known: {', '.join(map(str, _BITS))}"
        )
    try:
        with as_they_stand():
            whole = pydicom.dcmread(file)
            if not identifier(header.file_meta, "TransferSyntaxUID").is_encapsulated and (
                8 * len(whole.get("PixelData", b"")) < shape[0] * shape[1] * bits
            ):
                raise cut
            pixels = whole.pixel_array
    except InputError:
        raise
    except Exception as error:  # pydicom and its decoders raise what they happen to meet
        raise cut from error
    if pixels.shape != shape:
        raise cut
    return np.asarray(pixels)


def _has_decoder(syntax: Any) -> bool:
    from pydicom.pixels.decoders.base import get_decoder

    try:
        get_decoder(syntax)
    except NotImplementedError:
        return False
    return True
