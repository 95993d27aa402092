"""Mutated files: each gives a photograph or one sentence; never another exception, a hang, or a printed word."""

import io
import logging
import random
import signal
import struct
import time
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from veriscale.errors import InputError
from veriscale.imaging.photo import Photo
from veriscale.imaging.read import read_photo

MUTATIONS = 300
SECONDS = 5.0  # for one file of 20 × 24 pixels
MAX_PIXELS = 100_000  # mutated headers ask for far more

SMOOTH = np.asarray(
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (5, 6, 3), dtype=np.uint8)).resize((24, 20))
)


def _pillow(kind: str, **kwargs: object) -> bytes:
    file = io.BytesIO()
    exif = Image.Exif()
    exif[274], exif[282], exif[283], exif[296] = 6, 300.0, 300.0, 2
    Image.fromarray(SMOOTH).save(file, kind, icc_profile=b"\0" * 16 + b"RGB " + bytes(108), exif=exif, **kwargs)
    return file.getvalue()


def _tiff(array: np.ndarray, **kwargs: object) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, array, photometric="rgb", rowsperstrip=7, resolution=(300, 300), **kwargs)
    return file.getvalue()


def _npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def _palette(kind: str, **kwargs: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(SMOOTH).quantize(9).save(file, kind, **kwargs)
    return file.getvalue()


FILES: dict[str, Callable[[], bytes]] = {
    "png": lambda: _pillow("PNG", dpi=(300, 300)),
    "png palette": lambda: _palette("PNG", transparency=2),
    "png 16": lambda: imagecodecs.png_encode(SMOOTH.astype(np.uint16) * 257),
    "jpeg": lambda: _pillow("JPEG", dpi=(300, 300)),
    "jpeg progressive": lambda: _pillow("JPEG", progressive=True),
    "webp": lambda: _pillow("WEBP", lossless=True),
    "webp lossy": lambda: _pillow("WEBP"),
    "tiff lzw": lambda: _tiff(SMOOTH, compression="lzw", predictor=True),
    "tiff deflate": lambda: _tiff(SMOOTH.astype(np.uint16), compression="adobe_deflate", predictor=True),
    "tiff float": lambda: _tiff(SMOOTH.astype(np.float32)),
    "tiff tiled": lambda: _tiff(SMOOTH, tile=(16, 16), compression="lzw"),
    "tiff of libtiff": lambda: _pillow("TIFF", compression="tiff_lzw"),
    "bmp": lambda: _pillow("BMP"),
    "bmp palette": lambda: _palette("BMP"),
    "gif": lambda: _palette("GIF", transparency=2),
    "avif": lambda: _pillow("AVIF"),
    "jpeg 2000": lambda: _pillow("JPEG2000"),
    "npy": lambda: _npy(SMOOTH),
    "npy float": lambda: _npy(SMOOTH.astype(np.float64)),
}


def mutated(data: bytes, dice: random.Random) -> bytes:
    """One to four edits: flipped, replaced, removed, inserted or repeated bytes, most of them near the header."""
    out = bytearray(data)
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(len(out)) if dice.random() < 0.4 else dice.randrange(min(len(out), 200))
        match dice.randrange(7):
            case 0:
                out[at] ^= 1 << dice.randrange(8)
            case 1:
                out[at] = dice.choice((0, 1, 127, 128, 255))
            case 2:
                del out[at : at + dice.choice((1, 2, 4, 50))]
            case 3:
                out[at:at] = dice.randbytes(dice.choice((1, 2, 4, 50)))
            case 4:
                out[at : at + 4] = struct.pack(
                    dice.choice("<>") + "I", dice.choice((0, 1, 2**16, 2**31 - 1, 2**32 - 1))
                )
            case 5:
                del out[at + 1 :]
            case _:
                out[at:at] = out[at : at + dice.randrange(1, 60)]
        if not out:
            break
    if out[:4] == b"\x89PNG" and dice.random() < 0.7:
        return _with_checksums(bytes(out))  # else the checksums stop everything at the door
    return bytes(out)


def _with_checksums(png: bytes) -> bytes:
    out, at = bytearray(png[:8]), 8
    while at + 12 <= len(png):
        (size,) = struct.unpack_from(">I", png, at)
        body = png[at + 4 : at + 8 + size]
        out += png[at : at + 4] + body + struct.pack(">I", zlib.crc32(body))
        at += 12 + size
    return bytes(out)


@contextmanager
def watchdog(what: str, seconds: float = SECONDS) -> Iterator[None]:
    def bark(*_: object) -> None:
        raise TimeoutError(what)

    handler = signal.signal(signal.SIGALRM, bark)
    timer = signal.setitimer(signal.ITIMER_REAL, seconds)  # the test runner may have one of its own
    start = time.monotonic()
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, *timer)
    assert time.monotonic() - start < seconds, what  # a decoder in C does not hear the alarm


@pytest.mark.parametrize("kind", FILES)
def test_mutated_files_give_a_photo_or_a_sentence(tmp_path, capfd, monkeypatch, kind):
    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # the test runner's would hide lines that users see
    data, path = FILES[kind](), tmp_path / "file"
    path.write_bytes(data)
    whole = read_photo(path)
    assert sorted(whole.pixels.shape[:2]) == [20, 24]
    outcomes = {"photo": 0, "sentence": 0}
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        for seed in range(MUTATIONS):
            path = tmp_path / str(seed)  # a new name: truncating an old file costs more than reading it
            path.write_bytes(mutated(data, random.Random(f"{kind} {seed}")))
            with watchdog(f"{kind}, seed {seed}"):
                outcomes[outcome(path)] += 1
    assert not warned, [str(each.message) for each in warned]
    assert capfd.readouterr() == ("", "")
    assert min(outcomes.values()) > 0, outcomes  # the mutations reach both the door and the rooms behind it


def outcome(path: Path) -> str:
    """Read one file and check what comes of it."""
    try:
        photo = read_photo(path, max_pixels=MAX_PIXELS)
    except InputError as error:
        said = str(error)
    else:
        check(photo)
        return "photo"
    assert str(path) in said
    assert "\n" not in said
    return "sentence"


def check(photo: Photo) -> None:
    height, width, channels = photo.pixels.shape
    assert 0 < height * width <= MAX_PIXELS
    assert channels in (1, 3)
    assert photo.pixels.dtype == np.float32
    assert photo.pixels.flags.c_contiguous
    assert np.isfinite(photo.pixels).all()
    assert photo.bit_depth == 32 or 0 <= photo.pixels.min() <= photo.pixels.max() <= 1
    assert photo.alpha is None or (photo.alpha.shape == (height, width) and photo.alpha.dtype == np.float32)
    assert photo.dpi is None or all(1 <= each <= 65535 for each in photo.dpi)


def test_watchdog_barks():
    with pytest.raises(TimeoutError), watchdog("sleep", seconds=0.05):
        time.sleep(2)
