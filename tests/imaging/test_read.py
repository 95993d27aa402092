"""Reading: what a file holds comes out; what cannot be used is refused in one sentence that names the file."""

import io
import os
import struct
import subprocess
import sys
import warnings
import zlib
from pathlib import Path

import imagecodecs
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
PNG = b"\x89PNG\r\n\x1a\n"
TRUNCATED_OR_DAMAGED = "damaged or truncated"


def refused(path: Path, reason: str, **kwargs: int) -> None:
    with pytest.raises(InputError, match=reason) as caught:
        read_photo(path, **kwargs)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message


def stored(photo: Photo, top: int = 255) -> np.ndarray:
    return np.rint(photo.samples * top).astype(int)


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
    assert photo.samples.dtype == np.float32
    assert photo.bit_depth == 8
    assert photo.format == {".png": "png", ".jpg": "jpeg"}[Path(name).suffix]


@pytest.mark.parametrize("name", ["multipage.tif", "multipage_rgb.tif"])
def test_real_stack_is_refused(name):
    refused(DATA / name, "several pages")


def test_gif_is_refused():
    refused(DATA / "no_time_for_that_tiny.gif", "not an image of a known kind; known: PNG, JPEG, TIFF, WebP, NPY")


# --- PNG


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


def test_animated_pictures_are_refused(tmp_path):
    frames = [Image.fromarray(RGB), Image.fromarray(255 - RGB)]
    for name in ("a.png", "a.webp"):
        refused(saved(tmp_path / name, frames[0], save_all=True, append_images=frames[1:]), "animated")


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
        assert sorted(read_photo(path).samples.shape[:2]) == [13, 17]


# --- TIFF


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
    whole = photo.samples if photo.alpha is None else np.dstack([photo.samples, photo.alpha])
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
    np.testing.assert_array_equal(read_photo(saved(path, bits, compression="group4")).samples[..., 0], np.asarray(bits))
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
    np.testing.assert_allclose(photo.samples[:, 1:], colour[:, 1:], atol=1e-6)
    assert not photo.samples[:, 0].any()  # nothing is left of a colour under full transparency


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


# --- NPY


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1), (5, 7, 2), (5, 7, 3), (5, 7, 4)])
@pytest.mark.parametrize("dtype", ["u1", "<u2", ">u2", "<f4", ">f4", "f8", "f2"])
def test_npy_kinds(tmp_path, shape, dtype):
    array = (np.random.default_rng(3).random(shape) * (200 if dtype[-2] == "u" else 1)).astype(dtype)
    np.save(tmp_path / "a.npy", np.asfortranarray(array))
    photo = read_photo(tmp_path / "a.npy")
    top = np.iinfo(array.dtype).max if array.dtype.kind == "u" else 1
    whole = photo.samples if photo.alpha is None else np.dstack([photo.samples, photo.alpha])
    np.testing.assert_allclose(whole, array.reshape(5, 7, -1).astype(np.float64) / top, atol=1e-7)
    assert photo.bit_depth == (32 if top == 1 else 8 * array.itemsize)
    assert photo.samples.dtype == np.float32


@pytest.mark.parametrize(
    "array, reason",
    [
        (np.zeros((5, 7), np.int32), "type int32"),
        (np.zeros((5, 7), bool), "type bool"),
        (np.zeros((5, 7), complex), "type complex128"),
        (np.array([[{}]], object), "type object"),
        (np.zeros((3, 50, 70), np.uint8), "shape"),
        (np.zeros(9, np.uint8), "shape"),
        (np.zeros((), np.uint8), "shape"),
        (np.zeros((0, 7), np.uint8), "no pixels"),
        (np.zeros((5, 7, 0), np.uint8), "shape"),
        (np.full((5, 7), 1e300), "infinite"),
    ],
)
def test_npy_of_other_kinds_is_refused(tmp_path, array, reason):
    np.save(tmp_path / "a.npy", array)
    refused(tmp_path / "a.npy", reason)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["a.npy", "a.tif"])
def test_numbers_that_are_none_are_refused(tmp_path, name, value):
    array = np.full((5, 7), 0.5, np.float32)
    array[2, 3] = value
    (np.save if name == "a.npy" else tifffile.imwrite)(tmp_path / name, array)
    refused(tmp_path / name, "NaN or infinite")


def test_float_files_keep_values_outside_zero_and_one(tmp_path):
    array = np.array([[-3.5, 7.25]], np.float32)
    np.save(tmp_path / "a.npy", array)
    np.testing.assert_array_equal(read_photo(tmp_path / "a.npy").samples[..., 0], array)


# --- the border


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
    assert read_photo(path).samples.shape == (40, 50, 3)
    for keep in (20, len(data) // 4, len(data) // 2, 9 * len(data) // 10):
        path.write_bytes(data[:keep])
        refused(path, TRUNCATED_OR_DAMAGED)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp", ".npy"])
def test_pixel_limit_is_checked_and_can_be_raised(tmp_path, suffix, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1)  # Pillow's own global limit has no say
    path = tmp_path / f"a{suffix}"
    np.save(path, RGB) if suffix == ".npy" else Image.fromarray(RGB).save(path)
    refused(path, f"17 × 13.*limit of 220 pixels.*--max-pixels {13 * 17}", max_pixels=13 * 17 - 1)
    assert read_photo(path, max_pixels=13 * 17).width == 17


def test_bomb_is_refused_by_its_header(tmp_path):
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 16, 6, 0, 0, 0)
    (tmp_path / "bomb.png").write_bytes(PNG + chunk(b"IHDR", header) + chunk(b"IEND", b""))
    refused(tmp_path / "bomb.png", "above the limit of 256000000 pixels")


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
    png = tmp_path / "c.png"
    png.write_bytes(interlaced(RGB))
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
