"""Photographs that serve as truth, cut to one size and measured as the user's pictures would be."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from veriscale.errors import InputError
from veriscale.imaging.colour import premultiplied
from veriscale.imaging.photo import Photo
from veriscale.imaging.read import read_photo
from veriscale.imaging.rounding import as_stored
from veriscale.physics.downsample import Downsample
from veriscale.physics.measurement_noise import Noise
from veriscale.physics.operator import Operator
from veriscale.workflows.degrading.degradation import degrade
from veriscale.workflows.restoring.measured_picture import SMALLEST

Array = NDArray[np.float32]

_RESULT = re.compile(r"(?P<of>.+)_(x\d+|restored)(_(dial-[\d.]+|draw-\d+|mean|std|trusted|overlay))?")


@dataclass(frozen=True)
class Size:
    """Of a result, in pixels."""

    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.width}×{self.height}"


def parse_size(text: str) -> Size:
    """`320x320` or `320`.

    Raises:
        InputError: it is neither.
    """
    words = text.lower().replace("×", "x").split("x")
    if not 1 <= len(words) <= 2 or not all(w.isdecimal() and int(w) > 0 for w in words):
        raise InputError(f"Unit {text!r} is no size; write WIDTHxHEIGHT in pixels of the result, such as 320x320.")
    return Size(int(words[0]), int(words[-1]))


@dataclass(frozen=True, eq=False)
class Measured:
    """A truth (H, W, C) and its measurement, as an 8-bit file would hold it."""

    truth: Array
    measurement: Photo


def _cut(x: Array, top: int, left: int, size: Size) -> Array:
    return np.ascontiguousarray(x[top : top + size.height, left : left + size.width])


@dataclass(frozen=True)
class Measuring:
    """How truths are cut and measured.

    Attributes:
        operator, noise, seed: of the measurement; the noise depends on the picture too.
        channels: 1 or 3.
        size: of the unit, from the middle of the picture; None keeps every picture whole.
    """

    operator: Operator
    noise: Noise
    channels: int
    size: Size | None = None
    seed: int = 0

    def __call__(self, file: Path) -> Measured:
        """Read, cut and measure a photograph.

        Raises:
            InputError: it cannot be read, is of other channels, or smaller than the unit.
        """
        photo = read_photo(file)
        if photo.channels != self.channels:
            raise InputError(_wrong_kind(file, photo.channels, self.channels))
        whole = premultiplied(photo.pixels, photo.alpha)
        size = self.fitting(Size(photo.width, photo.height)) if self.size is None else self.size
        if size.width > photo.width or size.height > photo.height:
            raise InputError(f"{file}: {photo.width}×{photo.height} pixels are fewer than the unit's {size}.")
        scale = self.operator.scale if isinstance(self.operator, Downsample) else None
        if scale is None:
            x = _cut(whole, (photo.height - size.height) // 2, (photo.width - size.width) // 2, size)
            y = self._measure(x)
        else:
            # As `restore --crop` cuts it: out of the whole measurement, whose edges know what lies beyond them.
            small = self._measure(whole[: photo.height // scale * scale, : photo.width // scale * scale])
            part = Size(size.width // scale, size.height // scale)
            top, left = (small.height - part.height) // 2, (small.width - part.width) // 2
            y = small.with_pixels(_cut(small.pixels, top, left, part))
            x = _cut(whole, scale * top, scale * left, size)
        return Measured(x, y)

    def _measure(self, x: Array) -> Photo:
        y = degrade(Photo(np.ascontiguousarray(x)), self.operator, self.noise, self.seed)
        if y.bit_depth == 32:
            return y
        return y.with_pixels(as_stored(y.pixels))

    def fitting(self, size: Size) -> Size:
        """The largest size within this one that the operator takes whole.

        Raises:
            InputError: it takes none.
        """
        measured = self.operator.measurement_shape((self.channels, size.height, size.width))
        _, height, width = self.operator.truth_shape(measured)
        return Size(int(width), int(height))


@dataclass(frozen=True)
class Usable:
    """What is kept of a photograph that can be a unit: no pixels, so that memory does not grow with their number."""

    size: Size
    channels: int


def common_size(sizes: Iterable[Size], measuring: Measuring) -> Size:
    """The largest size that all pictures have and the operator takes whole."""
    every = list(sizes)
    return measuring.fitting(Size(min(s.width for s in every), min(s.height for s in every)))


def usable(files: Sequence[Path], measuring: Measuring, skip_bad: bool) -> tuple[dict[Path, Usable], dict[str, str]]:
    """The files that can be units, all of one kind, and why the others cannot.

    This is decided before anything is restored, so that no score has a say in it. Pictures that are all grey are units
    for a colour prior too; among colour ones a grey one is none.

    Raises:
        InputError: one cannot and `skip_bad` is not set, or none can.
    """
    good, bad = dict[Path, Usable](), dict[str, str]()
    places = {file.with_suffix("") for file in files}
    for file in files:
        try:
            good[file] = _checked(file, places, measuring)
        except InputError as error:
            bad[file.name] = str(error)
    channels = 1 if all(u.channels == 1 for u in good.values()) else measuring.channels
    for file in [f for f, u in good.items() if u.channels != channels]:
        bad[file.name] = _wrong_kind(file, good.pop(file).channels, channels)
    if bad and not skip_bad:
        first = next(iter(bad.values())).rstrip(".")
        more = f" ({len(bad)} such files in all)" if len(bad) > 1 else ""
        raise InputError(f"{first}{more}; take it away, or go on without it with `--skip-bad`.")
    if not good:
        raise InputError(f"None of the {len(files)} pictures can be used: {next(iter(bad.values()))}")
    return good, bad


def _wrong_kind(file: Path, own: int, wanted: int) -> str:
    kinds = {1: "grey", 3: "colour"}
    return f"{file} is a {kinds[own]} picture, and the certificate is for {kinds[wanted]} ones."


def _checked(file: Path, places: set[Path], measuring: Measuring) -> Usable:
    photo, size, least = read_photo(file), measuring.size, SMALLEST
    result = _RESULT.fullmatch(file.stem)
    if result and file.with_name(result["of"]) in places:
        raise InputError(f"{file} has the name of a result of restoring {result['of']}, and its run.json is not there.")
    if photo.alpha is not None and float(photo.alpha.min()) < 1:
        raise InputError(f"{file} has transparency, and a certificate is for pictures without.")
    if size is not None and (photo.width < size.width or photo.height < size.height):
        raise InputError(f"{file}: {photo.width}×{photo.height} pixels are fewer than the unit's {size}.")
    low, high = float(photo.pixels.min()), float(photo.pixels.max())
    if low < 0 or high > 1:  # of a floating point file
        raise InputError(f"{file}: values from {low:.3g} to {high:.3g}, and a picture's are in [0, 1].")
    measured = measuring.operator.measurement_shape((photo.channels, photo.height, photo.width))
    if min(measured[-2:]) < least:
        raise InputError(f"{file}: its measurement of {measured[-1]}×{measured[-2]} pixels is below {least}×{least}.")
    return Usable(Size(photo.width, photo.height), photo.channels)
