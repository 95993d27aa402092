"""What a file format is and what it can hold."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from numpy.typing import NDArray

from veriscale.imaging.photo import Photo

Reader = Callable[[Path, int], Photo]
Writer = Callable[[NDArray[Any], bytes | None, tuple[float, float] | None, IO[bytes]], None]


@dataclass(frozen=True)
class Format:
    """One kind of file; `registry.FORMATS` lists them.

    Attributes:
        name: in `Photo.format` and for `--format`.
        title: in sentences.
        extensions: in lower case, the usual one first.
        signature: regular expression of a file's first 16 bytes.
        read: (path, most pixels that the header may announce) -> photograph.
        write: (pixels as `photo.interleaved` makes them, ICC profile, dpi, file): writes them at one of `depths`.
        depths: bits of the numbers it stores, rising; 32 are floating point.
        lossless: whether what is written is what is read.
        longest_side: in pixels; None where there is no limit to speak of.
        grey, alpha: whether it holds them.
        tagged: whether it holds profile and resolution.
    """

    name: str
    title: str
    extensions: tuple[str, ...]
    signature: bytes
    read: Reader
    write: Writer
    depths: tuple[int, ...]
    lossless: bool = True
    longest_side: int | None = None
    grey: bool = True
    alpha: bool = True
    tagged: bool = True
