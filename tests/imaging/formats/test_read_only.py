"""BMP, GIF, AVIF and JPEG 2000: read behind the same guards as the others, in their own depth, and not written."""

from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image, ImageCms, features

from veriscale.errors import InputError
from veriscale.imaging.formats import registry
from veriscale.imaging.photo import Photo
from veriscale.imaging.read import read_photo
from veriscale.imaging.write import write_photo

SMOOTH = Image.fromarray(np.random.default_rng(0).integers(0, 256, (4, 5, 3), dtype=np.uint8)).resize((40, 32))
DEEP = np.asarray(SMOOTH).astype(np.uint16) * 257
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
NAMES = ["a.bmp", "a.gif", "a.avif", "a.jp2", "a.j2k"]


def stored(photo: Photo, top: int = 255) -> np.ndarray:
    return np.rint(photo.pixels * top).astype(int).squeeze()


@pytest.mark.parametrize("name", NAMES)
def test_pixels_are_those_that_pillow_reads(tmp_path, name):
    for k, image in enumerate([SMOOTH, SMOOTH.convert("L"), SMOOTH.quantize(9)]):
        if image.mode == "P" and name not in ("a.bmp", "a.gif"):
            continue
        image.save(tmp_path / f"{k}{name}")
        photo = read_photo(tmp_path / f"{k}{name}")
        with Image.open(tmp_path / f"{k}{name}") as seen:
            wanted = seen.convert("RGB" if photo.channels == 3 else "L")
        np.testing.assert_array_equal(stored(photo), np.asarray(wanted))
        assert photo.format == registry.EXTENSIONS[Path(name).suffix].name


@pytest.mark.parametrize("name", ["a.gif", "a.avif", "a.jp2"])
def test_transparency(tmp_path, name):
    clear = SMOOTH.copy()
    clear.putalpha(Image.fromarray(np.where(np.arange(40) < 20, 0, 255).astype(np.uint8)[None].repeat(32, 0)))
    clear.save(tmp_path / name)
    alpha = read_photo(tmp_path / name).alpha
    assert (alpha[:, :18] == 0).all()
    assert (alpha[:, 22:] == 1).all()


@pytest.mark.parametrize("bits", [10, 12])
def test_depth_is_kept(tmp_path, bits):
    values = DEEP >> (16 - bits)
    (tmp_path / "a.avif").write_bytes(imagecodecs.avif_encode(values, level=100, bitspersample=bits, pixelformat="444"))
    (tmp_path / "a.jp2").write_bytes(imagecodecs.jpeg2k_encode(values, level=0, bitspersample=bits))
    (tmp_path / "g.jp2").write_bytes(imagecodecs.jpeg2k_encode(values[..., 0], level=0, bitspersample=bits))
    for name, wanted in (("a.avif", values), ("a.jp2", values), ("g.jp2", values[..., 0])):
        photo = read_photo(tmp_path / name)
        assert photo.bit_depth == 16
        np.testing.assert_array_equal(stored(photo, 2**bits - 1), wanted)


def test_what_lies_beside_the_pixels(tmp_path):
    block = Image.Exif()
    block[271], block[274] = "Canon", 6
    SMOOTH.save(tmp_path / "a.avif", icc_profile=SRGB, exif=block)
    photo = read_photo(tmp_path / "a.avif")
    assert (photo.icc, photo.width, b"Canon" in photo.exif) == (SRGB, 32, True)
    SMOOTH.save(tmp_path / "a.bmp", dpi=(300, 150))
    assert read_photo(tmp_path / "a.bmp").dpi == pytest.approx((300, 150), abs=0.02)
    SMOOTH.save(tmp_path / "a.jp2")
    data = (tmp_path / "a.jp2").read_bytes()
    at = data.index(b"colr") - 4
    box = (len(SRGB) + 11).to_bytes(4) + b"colr\2\0\0" + SRGB
    header = data.index(b"jp2h") - 4
    grown = int.from_bytes(data[header : header + 4]) + len(box) - int.from_bytes(data[at : at + 4])
    rest = data[at + int.from_bytes(data[at : at + 4]) :]
    (tmp_path / "a.jp2").write_bytes(data[:header] + grown.to_bytes(4) + data[header + 4 : at] + box + rest)
    assert read_photo(tmp_path / "a.jp2").icc == SRGB


@pytest.mark.parametrize("name, kwargs, lossy", [
    ("a.jp2", {}, None), ("a.jp2", {"irreversible": True}, "a lossy JPEG 2000"), ("a.avif", {}, "an AVIF"),
    ("a.webp", {}, "a lossy WebP"), ("a.webp", {"lossless": True}, None), ("a.png", {}, None), ("a.bmp", {}, None),
    ("a.tif", {"compression": "jpeg"}, "a TIFF with JPEG compression"), ("a.tif", {}, None),
])  # fmt: skip
def test_lossy_compression_is_known(tmp_path, name, kwargs, lossy):
    SMOOTH.save(tmp_path / name, **kwargs)
    assert read_photo(tmp_path / name).lossy == lossy


def test_colours_as_they_are_may_be_without_loss(tmp_path):
    (tmp_path / "a.avif").write_bytes(imagecodecs.avif_encode(np.asarray(SMOOTH), level=100))
    photo = read_photo(tmp_path / "a.avif")
    np.testing.assert_array_equal(stored(photo), np.asarray(SMOOTH))
    assert photo.lossy is None


@pytest.mark.parametrize("quality", [5, 30, 50, 75, 92, 100])
def test_the_quality_of_a_jpeg_is_read_off_its_tables(tmp_path, quality):
    SMOOTH.save(tmp_path / "a.jpg", quality=quality)
    said = read_photo(tmp_path / "a.jpg").lossy
    assert said.startswith("a JPEG of quality about ")
    assert abs(int(said.rpartition(" ")[2]) - quality) <= 1


def test_a_jpeg_without_loss_has_no_tables(tmp_path):
    grey = np.asarray(SMOOTH.convert("L"))
    (tmp_path / "a.jpg").write_bytes(imagecodecs.ljpeg_encode(grey))
    photo = read_photo(tmp_path / "a.jpg")
    np.testing.assert_array_equal(stored(photo), grey)
    assert photo.lossy is None


@pytest.mark.parametrize("name", NAMES)
def test_border(tmp_path, name, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1)  # Pillow's own global limit has no say
    SMOOTH.save(tmp_path / name)
    with pytest.raises(InputError, match=r"40 × 32.*limit of 1279 pixels"):
        read_photo(tmp_path / name, max_pixels=1279)
    data = (tmp_path / name).read_bytes()
    for keep in (20, len(data) // 4, len(data) // 2, 9 * len(data) // 10):
        (tmp_path / name).write_bytes(data[:keep])
        with pytest.raises(InputError, match="damaged or truncated"):
            read_photo(tmp_path / name)


def test_an_animation_is_refused(tmp_path):
    for name in ("a.gif", "a.avif"):
        SMOOTH.save(tmp_path / name, save_all=True, append_images=[SMOOTH.rotate(180)])
        with pytest.raises(InputError, match="animated"):
            read_photo(tmp_path / name)


@pytest.mark.parametrize("name, feature", [("a.avif", "avif"), ("a.jp2", "jpg_2000")])
def test_a_pillow_without_the_decoder_is_named(tmp_path, name, feature, monkeypatch):
    SMOOTH.save(tmp_path / name)
    check = features.check
    monkeypatch.setattr(features, "check", lambda asked: asked != feature and check(asked))
    with pytest.raises(InputError, match="which the Pillow installed here cannot read; convert it to PNG"):
        read_photo(tmp_path / name)


@pytest.mark.parametrize("name", NAMES)
def test_they_are_not_written(tmp_path, name):
    with pytest.raises(InputError, match=r"is read and not written; .*known: \.png"):
        write_photo(Photo(np.zeros((2, 3, 3), np.float32)), tmp_path / name)
    assert not list(tmp_path.iterdir())
