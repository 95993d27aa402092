"""What a file format is and what it can hold."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from numpy.typing import NDArray

from veriscale.imaging.photo import Photo

Reader = Callable[[Path, int], Photo]


@dataclass(frozen=True)
class Beside:
    """What a file is to hold beside its pixels, and how well it is to hold those.

    Attributes:
        icc: a profile.
        dpi: pixels per inch along x and y.
        exif: a block as `formats.exif.kept` makes it.
        quality: 1 to 100; the format's own by default.
    """

    icc: bytes | None = None
    dpi: tuple[float, float] | None = None
    exif: bytes | None = None
    quality: int | None = None


Writer = Callable[[NDArray[Any], Beside, IO[bytes]], None]


@dataclass(frozen=True)
class Format:
    """One kind of file; `registry.FORMATS` lists them.

    Attributes:
        name: in `Photo.format` and for `--format`.
        title: in sentences.
        extensions: in lower case, the usual one first.
        signature: regular expression of a file's first 16 bytes.
        read: (path, most pixels that the header may announce) -> photograph.
        write: (pixels as `photo.interleaved` makes them, what goes beside them, file): writes them at one of `depths`;
            None for a format that is only read.
        depths: bits of the numbers it stores, rising; 32 are floating point.
        lossless: whether what is written is what is read, where no quality is asked for.
        graded: whether it can be written at a quality.
        longest_side: in pixels; None where there is no limit to speak of.
        grey, alpha: whether it holds them.
        tagged: whether it holds profile, resolution and EXIF.
        longest_exif: in bytes; None where there is no limit to speak of.
    """

    name: str
    title: str
    extensions: tuple[str, ...]
    signature: bytes
    read: Reader
    write: Writer | None = None
    depths: tuple[int, ...] = ()
    lossless: bool = True
    graded: bool = False
    longest_side: int | None = None
    grey: bool = True
    alpha: bool = True
    tagged: bool = True
    longest_exif: int | None = None

    @property
    def writer(self) -> Writer:
        """That of a format that is not only read."""
        if self.write is None:
            raise ValueError(f"{self.title} is only read")
        return self.write
