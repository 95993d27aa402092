"""PNG: every depth, palette and interlacing comes out as it went in."""

import struct
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image, ImageCms

from veriscale.errors import InputError
from veriscale.imaging.photo import Photo
from veriscale.imaging.read import read_photo

RGB = np.random.default_rng(0).integers(0, 256, (13, 17, 3), dtype=np.uint8)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
PNG = b"\x89PNG\r\n\x1a\n"


def refused(path: Path, reason: str, **kwargs: int) -> None:
    with pytest.raises(InputError, match=reason) as caught:
        read_photo(path, **kwargs)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message


def stored(photo: Photo, top: int = 255) -> np.ndarray:
    return np.rint(photo.pixels * top).astype(int)


def saved(path: Path, image: Image.Image, **kwargs: object) -> Path:
    image.save(path, **kwargs)
    return path


@pytest.mark.parametrize("shape", [(13, 17), (13, 17, 2), (13, 17, 3), (13, 17, 4), (1, 1, 3)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_png_keeps_every_level(tmp_path, shape, dtype):
    top = np.iinfo(dtype).max
    array = np.random.default_rng(1).integers(0, top + 1, shape, dtype=dtype)
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(array))
    photo = read_photo(tmp_path / "a.png")
    array = array.reshape(*shape[:2], -1)
    assert photo.bit_depth == 8 * array.itemsize
    np.testing.assert_array_equal(stored(photo, top), array[..., : photo.channels])
    assert (photo.alpha is not None) == (array.shape[2] in (2, 4))
    if photo.alpha is not None:
        np.testing.assert_array_equal(np.rint(photo.alpha * top), array[..., -1])


def test_png_palettes_and_bits_become_colours(tmp_path):
    palette = Image.fromarray(RGB).quantize(7)
    photo = read_photo(saved(tmp_path / "p.png", palette))
    np.testing.assert_array_equal(stored(photo), np.asarray(palette.convert("RGB")))
    clear = read_photo(saved(tmp_path / "t.png", palette, transparency=3))
    np.testing.assert_array_equal(clear.alpha == 0, np.asarray(palette) == 3)
    bits = Image.fromarray(RGB).convert("1")
    np.testing.assert_array_equal(stored(read_photo(saved(tmp_path / "b.png", bits)))[..., 0] == 255, np.asarray(bits))


def test_damaged_profile_is_not_dropped_in_silence(tmp_path):
    path = saved(tmp_path / "a.png", Image.fromarray(RGB), icc_profile=SRGB)
    data = bytearray(path.read_bytes())
    data[data.index(b"iCCP") + 40] ^= 1
    path.write_bytes(data)
    refused(path, "iCCP")


def interlaced(array: np.ndarray) -> bytes:
    """An Adam7 PNG of (H, W, 3) samples, which no library here writes."""
    starts_and_steps = (
        (0, 0, 8, 8),
        (4, 0, 8, 8),
        (0, 4, 4, 8),
        (2, 0, 4, 4),
        (0, 2, 2, 4),
        (1, 0, 2, 2),
        (0, 1, 1, 2),
    )
    passes = [array[y::down, x::right] for x, y, right, down in starts_and_steps]
    lines = [b"\0" + row.astype(row.dtype.newbyteorder(">")).tobytes() for each in passes if each.size for row in each]
    header = struct.pack(">IIBBBBB", array.shape[1], array.shape[0], 8 * array.itemsize, 2, 0, 0, 1)
    return PNG + b"".join(
        chunk(name, body)
        for name, body in ((b"IHDR", header), (b"IDAT", zlib.compress(b"".join(lines))), (b"IEND", b""))
    )


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_interlaced_png(tmp_path, dtype):
    (tmp_path / "a.png").write_bytes(interlaced(RGB.astype(dtype)))
    np.testing.assert_array_equal(stored(read_photo(tmp_path / "a.png"), np.iinfo(dtype).max), RGB)


def test_bomb_is_refused_by_its_header(tmp_path):
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 16, 6, 0, 0, 0)
    (tmp_path / "bomb.png").write_bytes(PNG + chunk(b"IHDR", header) + chunk(b"IEND", b""))
    refused(tmp_path / "bomb.png", "above the limit of 256000000 pixels")
