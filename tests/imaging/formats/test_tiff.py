"""TIFF: its many kinds come out as one, and what it cannot mean is refused."""

import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from veriscale.errors import InputError
from veriscale.imaging.photo import Photo
from veriscale.imaging.read import read_photo

RGB = np.random.default_rng(0).integers(0, 256, (13, 17, 3), dtype=np.uint8)


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


@pytest.mark.parametrize("compression", [None, "lzw", "adobe_deflate"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("separate", [False, True])
def test_tiff_kinds(tmp_path, compression, dtype, channels, separate):
    values = np.random.default_rng(2).random((13, 17, channels))
    top = 1 if dtype is np.float32 else np.iinfo(dtype).max
    array = values.astype(dtype) if top == 1 else np.rint(values * top).astype(dtype)
    planes = np.moveaxis(array, -1, 0) if separate and channels > 1 else array
    tifffile.imwrite(
        tmp_path / "a.tif",
        planes if channels > 1 else array[..., 0],
        photometric="rgb" if channels > 2 else "minisblack",
        planarconfig=("separate" if separate else "contig") if channels > 1 else None,
        extrasamples=["unassalpha"] if channels in (2, 4) else None,
        compression=compression,
        predictor=compression is not None and top > 1,
        metadata=None,
    )
    photo = read_photo(tmp_path / "a.tif")
    assert photo.bit_depth == 8 * np.dtype(dtype).itemsize
    whole = photo.pixels if photo.alpha is None else np.dstack([photo.pixels, photo.alpha])
    np.testing.assert_array_equal(whole * top if top == 1 else np.rint(whole * top), array)


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate"])
def test_tiff_of_libtiff(tmp_path, compression):
    path = saved(tmp_path / "a.tif", Image.fromarray(RGB), compression=compression, dpi=(300, 150))
    assert read_photo(path).dpi == (300, 150)
    np.testing.assert_array_equal(stored(read_photo(path)), RGB)


def test_tiff_white_is_zero_palette_bits_tiles_and_twelve_bits(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, RGB[..., 0], photometric="miniswhite")
    np.testing.assert_array_equal(stored(read_photo(path))[..., 0], 255 - RGB[..., 0])
    palette = Image.fromarray(RGB).quantize(9)
    photo = read_photo(saved(path, palette))
    np.testing.assert_array_equal(stored(photo), np.asarray(palette.convert("RGB")))
    assert photo.bit_depth == 8
    bits = Image.fromarray(RGB).convert("1")
    np.testing.assert_array_equal(read_photo(saved(path, bits, compression="group4")).pixels[..., 0], np.asarray(bits))
    tifffile.imwrite(path, RGB, photometric="rgb", tile=(16, 16), compression="zlib")
    np.testing.assert_array_equal(stored(read_photo(path)), RGB)
    twelve = np.linspace(0, 4095, 64).astype(np.uint16).reshape(8, 8)
    tifffile.imwrite(path, twelve, bitspersample=12, photometric="minisblack")
    np.testing.assert_array_equal(stored(read_photo(path), 4095)[..., 0], twelve)


def test_premultiplied_alpha_becomes_straight(tmp_path):
    alpha = np.linspace(0, 1, 17, dtype=np.float32) * np.ones((13, 1), np.float32)
    colour = RGB.astype(np.float32) / 255
    tifffile.imwrite(
        tmp_path / "a.tif",
        np.dstack([colour * alpha[..., None], alpha]),
        photometric="rgb",
        extrasamples=["assocalpha"],
    )
    photo = read_photo(tmp_path / "a.tif")
    np.testing.assert_allclose(photo.pixels[:, 1:], colour[:, 1:], atol=1e-6)
    assert not photo.pixels[:, 0].any()  # nothing is left of a colour under full transparency


def test_tiff_thumbnail_is_no_second_page(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(RGB, photometric="rgb", metadata=None)
        file.write(RGB[::2, ::2], photometric="rgb", subfiletype=1, metadata=None)
    np.testing.assert_array_equal(stored(read_photo(tmp_path / "a.tif")), RGB)


def test_tiff_stacks_are_refused(tmp_path):
    stack = np.stack([RGB[..., 0]] * 3)
    for kwargs in ({}, {"imagej": True}, {"truncate": True}, {"volumetric": True, "tile": (16, 16, 16)}):
        tifffile.imwrite(tmp_path / "a.tif", stack, photometric="minisblack", **kwargs)
        refused(tmp_path / "a.tif", "several pages|volume")


def test_tiff_that_says_no_colour_is_refused(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, RGB[..., 0], photometric="minisblack", extratags=[(337, "H", 1, 2, True)])
    extra_samples = path.read_bytes().replace(struct.pack("<HHI", 337, 3, 1), struct.pack("<HHI", 338, 3, 1))
    path.write_bytes(extra_samples)
    refused(path, "only an alpha channel")
    tifffile.imwrite(path, RGB[..., 0] > 99, photometric="mask")
    refused(path, "only an alpha channel")


def test_tiff_channels_of_unknown_meaning_are_refused(tmp_path):
    path = tmp_path / "a.tif"
    for channels, extra, reason in ((4, ["unspecified"], "not marked as alpha"), (5, [2, 2], "not marked as alpha")):
        array = np.zeros((8, 9, channels), np.uint8)
        tifffile.imwrite(path, array, photometric="rgb", planarconfig="contig", extrasamples=extra)
        refused(path, reason)


def test_tiff_with_missing_strips_is_refused(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, RGB, photometric="rgb", rowsperstrip=4, compression="zlib", metadata=None)
    with tifffile.TiffFile(path) as file:
        tag = file.pages[0].tags["StripByteCounts"]
        at, code = tag.valueoffset, tag.dtype_name
    assert code in ("LONG", "SHORT", "LONG8")
    data = bytearray(path.read_bytes())
    data[at : at + 2] = b"\0\0"  # a picture with a hole: decoders fill it with black
    path.write_bytes(data)
    refused(path, "1 of 4 strips or tiles are missing")
