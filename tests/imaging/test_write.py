"""Writing: what a format can keep survives, what it cannot is said, and nothing is left half-written."""

import resource
from pathlib import Path

import numpy as np
import pytest
import skimage
from PIL import Image, ImageCms

from veriscale.errors import InputError
from veriscale.imaging.formats import registry
from veriscale.imaging.photo import Photo
from veriscale.imaging.read import read_photo
from veriscale.imaging.rounding import quantised
from veriscale.imaging.write import write_photo

DATA = Path(skimage.__file__).parent / "data"
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
GREY = SRGB[:16] + b"GRAY" + SRGB[20:]  # its header alone matters here
FORMATS = [f.extensions[0] for f in registry.FORMATS.values() if f.write is not None]


def photo(depth: int = 8, channels: int = 3, alpha: bool = False, **kept: object) -> Photo:
    """A picture on the grid of its bit depth, smooth enough for JPEG, with hidden colours where it is transparent."""
    y, x = np.mgrid[0:40, 0:31] / 40.0
    planes = np.dstack([y, 1 - x, (x + y) / 2, 1 - y])[..., : channels + alpha].astype(np.float32)
    if depth < 32:
        top = 2**depth - 1
        planes = (np.rint(planes * top) / top).astype(np.float32)
    last = np.where(x < 0.2, 0, planes[..., -1]).astype(np.float32) if alpha else None
    kept = {"icc": SRGB if channels == 3 else GREY, "dpi": (300.0, 150.0), **kept}
    return Photo(np.ascontiguousarray(planes[..., :channels]), last, bit_depth=depth, **kept)


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "suffix, depth",
    [(".png", 8), (".png", 16), (".tif", 8), (".tif", 16), (".tif", 32), (".webp", 8), (".npy", 32), (".jpg", 8)],
)
def test_round_trip(tmp_path, capfd, suffix, depth, channels, alpha):
    before = photo(depth, channels, alpha)
    notes = write_photo(before, tmp_path / f"a{suffix}")
    after = read_photo(tmp_path / f"a{suffix}")
    assert after.bit_depth == depth
    assert after.format == registry.EXTENSIONS[suffix].name
    np.testing.assert_allclose(after.pixels.mean(2), before.pixels.mean(2), atol=0.02 if suffix == ".jpg" else 1e-7)
    if suffix != ".webp":  # has no grey
        assert after.channels == channels
    if suffix != ".jpg":  # lossy, and has no alpha
        assert not np.any(after.pixels - before.pixels)
        assert (after.alpha is None) == (before.alpha is None)
        assert not alpha or np.array_equal(after.alpha, before.alpha)
    if suffix != ".npy":  # holds numbers alone
        assert after.dpi == pytest.approx(before.dpi, abs=0.02)
        assert after.icc == (None if suffix == ".webp" and channels == 1 else before.icc)
    lost = (suffix == ".jpg" and alpha) + 2 * (suffix == ".npy") + 2 * (suffix == ".webp" and channels == 1)
    assert len(notes) == lost
    again = tmp_path / f"b{suffix}"
    if suffix != ".jpg":
        write_photo(after, again)
        assert again.read_bytes() == (tmp_path / f"a{suffix}").read_bytes()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg", ".webp"])
def test_other_readers_agree(tmp_path, suffix):
    write_photo(photo(alpha=suffix != ".jpg"), tmp_path / f"a{suffix}")
    with Image.open(tmp_path / f"a{suffix}") as image:
        assert image.mode == ("RGB" if suffix == ".jpg" else "RGBA")
        assert image.info["icc_profile"] == SRGB
        if suffix != ".webp":
            assert [float(v) for v in image.info["dpi"]] == pytest.approx([300, 150], abs=0.02)
        if suffix != ".jpg":
            np.testing.assert_array_equal(np.asarray(image)[..., :3], quantised(photo().pixels, 8))


def test_jpeg_keeps_colour_at_full_resolution(tmp_path):
    stripes = np.zeros((32, 32, 3), np.float32)
    stripes[:, ::2, 0] = stripes[:, 1::2, 2] = 0.8  # red and blue, of a pixel's width
    write_photo(Photo(stripes), tmp_path / "a.jpg")
    assert np.abs(read_photo(tmp_path / "a.jpg").pixels - stripes).mean() < 0.02
    Image.fromarray(quantised(stripes, 8)).save(tmp_path / "b.jpg", quality=95, subsampling=2)  # negative control
    assert np.abs(read_photo(tmp_path / "b.jpg").pixels - stripes).mean() > 0.1


@pytest.mark.parametrize("suffix", FORMATS)
def test_one_pixel(tmp_path, suffix):
    write_photo(Photo(np.full((1, 1, 3), 0.2, np.float32)), tmp_path / f"a{suffix}")
    assert read_photo(tmp_path / f"a{suffix}").pixels == pytest.approx(np.full((1, 1, 3), 0.2))


def test_real_file_survives_every_lossless_format(tmp_path):
    before = read_photo(DATA / "ihc.png")
    for suffix in (".png", ".tif", ".webp", ".npy"):
        write_photo(before, tmp_path / f"a{suffix}")
        np.testing.assert_array_equal(read_photo(tmp_path / f"a{suffix}").pixels, before.pixels)


def test_integers_are_clipped_and_floats_are_not(tmp_path):
    values = np.array([[-0.5, 0.5, 1.5]], np.float32)
    wild = Photo(np.repeat(values[..., None], 3, 2), bit_depth=32)
    notes = write_photo(wild, tmp_path / "a.png")
    assert notes[0] == "reduced from floating point to 16 bits: PNG holds no more"
    assert notes[1] == "clipped to 0..1: 66.67% of the values lay outside"
    np.testing.assert_allclose(read_photo(tmp_path / "a.png").pixels[0, :, 0], [0, 0.5, 1], atol=1e-5)
    assert write_photo(wild, tmp_path / "a.tif") == []
    np.testing.assert_array_equal(read_photo(tmp_path / "a.tif").pixels, wild.pixels)


def test_what_is_not_kept_is_said(tmp_path):
    assert write_photo(photo(16), tmp_path / "a.jpg") == ["reduced from 16 to 8 bits: JPEG holds no more"]
    assert write_photo(photo(16), tmp_path / "a.webp") == ["reduced from 16 to 8 bits: WebP holds no more"]
    assert write_photo(photo(alpha=True), tmp_path / "b.jpg") == ["alpha is not kept: JPEG has none"]
    for suffix in (".png", ".tif", ".jpg"):
        (note,) = write_photo(photo(channels=1, icc=SRGB), tmp_path / f"c{suffix}")
        assert note == "the ICC profile is not kept: it is for other channels than the picture has"
        assert read_photo(tmp_path / f"c{suffix}").icc is None


@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
def test_quality(tmp_path, suffix):
    for quality in (None, 90, 30):
        write_photo(photo(), tmp_path / f"{quality}{suffix}", quality=quality)
    sizes = [(tmp_path / f"{q}{suffix}").stat().st_size for q in (90, 30)]
    assert sizes[0] > sizes[1]
    assert (read_photo(tmp_path / f"None{suffix}").lossy is None) == (suffix == ".webp")
    assert read_photo(tmp_path / f"90{suffix}").lossy is not None


@pytest.mark.parametrize("name, quality, reason", [
    ("a.jpg", 0, "quality 0 is not a whole number from 1 to 100"), ("a.webp", 101, "quality 101 is not"),
    ("a.png", 80, "quality is for JPEG and WebP, and a.png is neither"), ("a.npy", 80, "a.npy is neither"),
])  # fmt: skip
def test_a_quality_that_is_none_is_refused(tmp_path, name, quality, reason):
    with pytest.raises(InputError, match=reason):
        write_photo(photo(), tmp_path / name, quality=quality)
    assert not list(tmp_path.iterdir())


def test_extension_names_the_format(tmp_path):
    with pytest.raises(InputError, match=r"did you mean '\.png'\? known: \.png, \.jpg"):
        write_photo(photo(), tmp_path / "a.pngg")
    with pytest.raises(InputError, match="no extension"):
        write_photo(photo(), tmp_path / "a")
    write_photo(photo(), tmp_path / "a.PNG")
    assert read_photo(tmp_path / "a.PNG").format == "png"


@pytest.mark.parametrize("suffix, side", [(".jpg", 65_501), (".webp", 16_384), (".png", 1_000_001)])
def test_format_too_small_for_the_picture(tmp_path, suffix, side):
    for shape in ((1, side, 1), (side, 1, 1)):
        with pytest.raises(InputError, match=r"too large for .* choose \.tif"):
            write_photo(Photo(np.zeros(shape, np.float32)), tmp_path / f"a{suffix}")
    write_photo(Photo(np.zeros((1, side - 1, 1), np.float32)), tmp_path / f"a{suffix}")  # the last that fits


def test_existing_file_is_kept_without_force(tmp_path):
    path = tmp_path / "a.png"
    path.write_text("precious")
    with pytest.raises(InputError, match="exists already; add force"):
        write_photo(photo(), path)
    assert path.read_text() == "precious"
    write_photo(photo(), path, force=True)
    assert read_photo(path).width == 31


def test_folder_that_cannot_be_written(tmp_path):
    with pytest.raises(InputError, match="folder does not exist"):
        write_photo(photo(), tmp_path / "none" / "a.png")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="its folder is a file"):
        write_photo(photo(), tmp_path / "file" / "a.png")


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("existing", [False, True])
def test_disk_that_refuses_leaves_everything_as_it_was(tmp_path, suffix, existing):
    noise = Photo(np.random.default_rng(0).random((60, 60, 3), np.float32))
    path = tmp_path / f"a{suffix}"
    if existing:
        path.write_text("precious")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))  # the kernel itself fails the write, as a full disk does
    try:
        with pytest.raises(InputError, match=r"cannot write .*larger than allowed"):
            write_photo(noise, path, force=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [(each.name, each.read_text()) for each in tmp_path.iterdir()] == [(path.name, "precious")] * existing
