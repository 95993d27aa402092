"""Reading: what a file holds comes out; what cannot be used is refused in one sentence that names the file."""

import io
import os
import struct
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import skimage
import tifffile
from PIL import Image, ImageCms, ImageFile, ImageOps

from veriscale.errors import InputError
from veriscale.imaging.photo import Photo
from veriscale.imaging.read import read_photo

DATA = Path(skimage.__file__).parent / "data"
RGB = np.random.default_rng(0).integers(0, 256, (13, 17, 3), dtype=np.uint8)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
TRUNCATED_OR_DAMAGED = "damaged or truncated"


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


# --- real files


@pytest.mark.parametrize("name", ["astronaut.png", "cell.png", "ihc.png", "retina.jpg", "color.png", "text.png"])
def test_real_files_match_pillow(name):
    photo = read_photo(DATA / name)
    with Image.open(DATA / name) as image:
        wanted = np.asarray(image)
    np.testing.assert_array_equal(stored(photo), wanted.reshape(photo.height, photo.width, -1)[..., : photo.channels])
    assert photo.pixels.dtype == np.float32
    assert photo.bit_depth == 8
    assert photo.format == {".png": "png", ".jpg": "jpeg"}[Path(name).suffix]


@pytest.mark.parametrize("name", ["multipage.tif", "multipage_rgb.tif"])
def test_real_stack_is_refused(name):
    refused(DATA / name, "several pages")


def test_real_animation_is_refused():
    refused(DATA / "no_time_for_that_tiny.gif", "is animated")


# --- JPEG, WebP


def test_jpeg_and_webp_match_pillow(tmp_path):
    smooth = Image.fromarray(RGB).resize((64, 48))
    for path in (saved(tmp_path / "a.jpg", smooth), saved(tmp_path / "g.jpg", smooth.convert("L"))):
        np.testing.assert_array_equal(stored(read_photo(path)).squeeze(), np.asarray(Image.open(path)))
    transparent = smooth.copy()
    transparent.putalpha(smooth.convert("L"))
    photo = read_photo(saved(tmp_path / "a.webp", transparent, lossless=True, exact=True))
    np.testing.assert_array_equal(stored(photo), np.asarray(smooth))
    np.testing.assert_array_equal(np.rint(photo.alpha * 255), np.asarray(smooth.convert("L")))
    lossy = saved(tmp_path / "l.webp", smooth)
    np.testing.assert_array_equal(stored(read_photo(lossy)), np.asarray(Image.open(lossy).convert("RGB")))


def test_multi_picture_jpeg_gives_the_main_picture(tmp_path):
    pictures = [Image.fromarray(RGB), Image.fromarray(255 - RGB)]
    path = tmp_path / "a.jpg"
    pictures[0].save(path, "MPO", save_all=True, append_images=pictures[1:])
    np.testing.assert_array_equal(stored(read_photo(path)), np.asarray(Image.open(path)))


@pytest.mark.parametrize("name", ["a.jpg", "a.tif"])
def test_cmyk_is_refused(tmp_path, name):
    refused(saved(tmp_path / name, Image.fromarray(RGB).convert("CMYK")), "CMYK")


# --- orientation, profile, resolution


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_once(tmp_path, suffix, orientation):
    exif = Image.Exif()
    exif[274] = orientation
    lossless = {"lossless": True} if suffix == ".webp" else {}
    path = saved(tmp_path / f"a{suffix}", Image.fromarray(RGB), exif=exif, dpi=(100, 200), **lossless)
    with Image.open(path) as image:
        wanted = np.asarray(ImageOps.exif_transpose(image))
    photo = read_photo(path)
    np.testing.assert_array_equal(stored(photo), wanted)
    if photo.dpi is not None:  # Pillow writes none into WebP
        assert photo.dpi == pytest.approx((200, 100) if orientation >= 5 else (100, 200), abs=0.02)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_profile_is_kept(tmp_path, suffix):
    assert read_photo(saved(tmp_path / f"a{suffix}", Image.fromarray(RGB), icc_profile=SRGB)).icc == SRGB
    assert read_photo(saved(tmp_path / f"b{suffix}", Image.fromarray(RGB))).icc is None


def test_resolution_in_centimetres_and_from_exif(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", RGB, photometric="rgb", resolution=(100, 50), resolutionunit="CENTIMETER")
    assert read_photo(tmp_path / "a.tif").dpi == pytest.approx((254, 127))
    exif = Image.Exif()
    exif[282], exif[283], exif[296] = 300.0, 150.0, 2
    path = saved(tmp_path / "a.jpg", Image.fromarray(RGB), exif=exif)
    assert read_photo(path).dpi == pytest.approx((300, 150))
    assert read_photo(saved(tmp_path / "b.jpg", Image.fromarray(RGB))).dpi is None


def test_damaged_exif_costs_nothing_but_itself(tmp_path):
    exif = Image.Exif()
    exif[274], exif[282] = 6, 300.0
    block = bytearray(exif.tobytes())
    for cut in range(6, len(block)):
        path = saved(tmp_path / "a.jpg", Image.fromarray(RGB), exif=bytes(block[:cut]))
        assert sorted(read_photo(path).pixels.shape[:2]) == [13, 17]


# --- the border


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["a.npy", "a.tif"])
def test_numbers_that_are_none_are_refused(tmp_path, name, value):
    array = np.full((5, 7), 0.5, np.float32)
    array[2, 3] = value
    (np.save if name == "a.npy" else tifffile.imwrite)(tmp_path / name, array)
    refused(tmp_path / name, "NaN or infinite")


def test_animated_pictures_are_refused(tmp_path):
    frames = [Image.fromarray(RGB), Image.fromarray(255 - RGB)]
    for name in ("a.png", "a.webp"):
        refused(saved(tmp_path / name, frames[0], save_all=True, append_images=frames[1:]), "animated")


def test_kind_is_known_by_content(tmp_path):
    path = saved(tmp_path / "really_a_jpeg.png", Image.fromarray(RGB), format="JPEG")
    assert read_photo(path).format == "jpeg"


def test_what_is_no_image_is_refused(tmp_path):
    refused(tmp_path / "missing.png", "does not exist")
    refused(tmp_path, "is a folder")
    (tmp_path / "empty.png").touch()
    refused(tmp_path / "empty.png", "is empty")
    (tmp_path / "text.png").write_text("not a picture")
    refused(tmp_path / "text.png", "not an image of a known kind")
    refused(Path(os.devnull), "is a device")
    os.mkfifo(tmp_path / "pipe.png")
    refused(tmp_path / "pipe.png", "is a device")


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "l.tif", "z.tif", "u.tif", "a.webp", "a.npy"])
def test_truncated_files_are_refused(tmp_path, name):
    path = tmp_path / name
    image = Image.fromarray(np.random.default_rng(4).integers(0, 256, (40, 50, 3), dtype=np.uint8))
    match name[0], path.suffix:
        case _, ".npy":
            np.save(path, np.asarray(image))
        case kind, ".tif":
            compression = {"l": "tiff_lzw", "z": "tiff_adobe_deflate", "u": "raw"}[kind]
            image.save(path, compression=compression)
        case _:
            image.save(path)
    data = path.read_bytes()
    assert read_photo(path).pixels.shape == (40, 50, 3)
    for keep in (20, len(data) // 4, len(data) // 2, 9 * len(data) // 10):
        path.write_bytes(data[:keep])
        refused(path, TRUNCATED_OR_DAMAGED)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp", ".npy"])
def test_pixel_limit_is_checked_and_can_be_raised(tmp_path, suffix, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1)  # Pillow's own global limit has no say
    path = tmp_path / f"a{suffix}"
    np.save(path, RGB) if suffix == ".npy" else Image.fromarray(RGB).save(path)
    refused(path, f"17 × 13.*limit of 220 pixels.*max_pixels {13 * 17}", max_pixels=13 * 17 - 1)
    assert read_photo(path, max_pixels=13 * 17).width == 17


def test_pillows_leniency_is_the_only_way_to_a_half_picture(tmp_path, monkeypatch):
    path = saved(tmp_path / "a.jpg", Image.fromarray(RGB).resize((90, 70)))
    path.write_bytes(path.read_bytes()[:-400])
    refused(path, TRUNCATED_OR_DAMAGED)
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)  # negative control: the test above can fail
    assert read_photo(path).width == 90


def test_nothing_is_printed_and_torch_stays_out(tmp_path):
    """Each of these files makes its decoder warn, by a Python warning or a log line."""
    tiff = tmp_path / "a.tif"
    tifffile.imwrite(tiff, RGB, photometric="rgb")
    data = bytearray(tiff.read_bytes())
    data[4:8] = struct.pack("<I", 3)
    tiff.write_bytes(data)
    npy = tmp_path / "b.npy"
    header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (1L, 1L), }"  # of Python 2
    npy.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + b"\x05")
    png = saved(tmp_path / "c.png", Image.fromarray(RGB), icc_profile=b"too short")
    jpeg = saved(tmp_path / "d.jpg", Image.fromarray(RGB), exif=b"Exif\0\0II*\0\x08\0\0\0\x05\0\x1a\x01")
    code = (
        "import sys\nfrom veriscale.errors import InputError\nfrom veriscale.imaging import read, write, canvas\n"
        "for name in sys.argv[1:]:\n    try: read.read_photo(name)\n    except InputError: pass\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code, tiff, npy, png, jpeg], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_warning_filters_are_given_back(tmp_path):
    before = list(warnings.filters)
    buffer = io.BytesIO()
    Image.fromarray(RGB).save(buffer, "JPEG")
    (tmp_path / "a.jpg").write_bytes(buffer.getvalue())
    read_photo(tmp_path / "a.jpg")
    assert warnings.filters == before
