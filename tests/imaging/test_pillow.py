"""Pillow's pictures and arrays, there and back."""

import io

import numpy as np
import pytest
from PIL import Image, ImageCms

from veriscale.errors import InputError
from veriscale.imaging.photo import Photo, from_array
from veriscale.imaging.pillow import from_pil
from veriscale.imaging.read import read_photo


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "I;16", "F", "1", "P"])
def test_a_picture_is_read_as_its_file(mode, tmp_path):
    shape = {"LA": (9, 8, 2), "RGB": (9, 8, 3), "RGBA": (9, 8, 4)}.get(mode, (9, 8))
    kind = {"I;16": np.uint16, "F": np.float32}.get(mode, np.uint8)
    values = np.random.default_rng(0).integers(0, 255, shape).astype(kind)
    colours = mode in ("1", "P")
    image = Image.fromarray(values / np.float32(255) if mode == "F" else values)
    image = image.convert(mode) if colours else image
    file = tmp_path / ("a.tif" if mode == "F" else "a.png")
    image.save(file)
    expected, found = read_photo(file), from_pil(image)
    assert found.bit_depth == expected.bit_depth
    for name in ("pixels", "alpha"):
        a, b = getattr(found, name), getattr(expected, name)
        assert (a is None) == (b is None)
        assert a is None or np.array_equal(a, b)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif", "a.webp"])
def test_what_a_file_says_is_what_its_picture_says(name, tmp_path):
    block = Image.Exif()
    block[271], block[274] = "Canon", 6  # lying on its side
    block.get_ifd(34853).update({1: "N", 2: (47.0, 22.0, 1.5)})
    colours = np.random.default_rng(0).integers(0, 255, (8, 12, 3)).astype(np.uint8)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    lossless = {"lossless": True} if name == "a.webp" else {}
    Image.fromarray(colours).save(tmp_path / name, exif=block, dpi=(72, 300), icc_profile=profile, **lossless)
    expected, found = read_photo(tmp_path / name), from_pil(Image.open(tmp_path / name))
    assert np.array_equal(found.pixels, expected.pixels)
    assert found.pixels.shape == (12, 8, 3)
    assert found.exif is not None
    assert b"Canon" in found.exif
    if name != "a.tif":  # there Pillow writes the block anew
        assert found.exif == expected.exif
    if name not in ("a.webp", "a.tif"):  # Pillow says no resolution, or does not turn it with the pixels
        assert found.dpi == pytest.approx(expected.dpi, rel=1e-3)
    assert (found.lossy, found.icc) == (expected.lossy, profile)
    assert (found.lossy is not None, found.format == "jpeg") == (name == "a.jpg",) * 2


def test_a_damaged_exif_block_does_no_harm():
    file = io.BytesIO()
    Image.fromarray(np.zeros((8, 12, 3), np.uint8)).save(file, "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert from_pil(Image.open(file)).exif is None


def test_a_torn_file_is_said_to_be_one():
    file = io.BytesIO()
    Image.effect_noise((64, 64), 90).save(file, "JPEG")
    with pytest.raises(InputError, match="image cannot be read: the JPEG file is damaged or truncated"):
        from_pil(Image.open(io.BytesIO(file.getvalue()[:-400])))


def test_transparency_by_colour_is_transparency():
    image = Image.fromarray(np.zeros((8, 8, 3), np.uint8))
    image.info["transparency"] = (0, 0, 0)
    assert (from_pil(image).alpha == 0).all()


@pytest.mark.parametrize("mode", ["CMYK", "I", "HSV"])
def test_another_mode_is_named(mode):
    with pytest.raises(InputError, match=f"Pillow's mode {mode} is not known; .*; convert it to RGB first"):
        from_pil(Image.new(mode, (8, 8)))


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_arrays_and_pictures_go_there_and_back(channels):
    stored = np.random.default_rng(0).integers(0, 255, (9, 8, channels)).astype(np.uint8)
    photo = from_array(stored, "test")
    assert np.array_equal(np.asarray(photo.to_pil()), stored if channels > 1 else stored[..., 0])
    values = np.asarray(photo)
    assert values.dtype == np.float32
    assert np.array_equal(values, (stored if channels > 1 else stored[..., 0]) / np.float32(255))
    assert np.asarray(photo, np.float64).dtype == np.float64
    again = from_array(values, "test")
    assert np.array_equal(again.pixels, photo.pixels)


def test_a_picture_shows_itself_and_keeps_its_profile():
    photo = Photo(np.full((9, 8, 3), 0.5, np.float32), bit_depth=16, icc=b"profile", dpi=(300.0, 300.0))
    shown = Image.open(io.BytesIO(photo._repr_png_()))
    assert np.array_equal(np.asarray(shown), np.full((9, 8, 3), 128))
    assert shown.info["icc_profile"] == b"profile"
    assert photo.to_pil().info["dpi"] == (300.0, 300.0)
