"""EXIF: what camera and photographer said survives to the byte, what has become untrue does not."""

import io
import struct

import numpy as np
import pytest
import tifffile
from PIL import Image

from veriscale.imaging.formats import exif
from veriscale.imaging.photo import Photo
from veriscale.imaging.read import read_photo
from veriscale.imaging.write import write_photo

SECRET = bytes(range(200)) * 3  # a thumbnail, or a maker's note


def camera(endian: str = "<", note: bytes = SECRET) -> bytes:
    """A camera's block, with everything that must go and some of what must stay."""
    block = Image.Exif()
    block.endian = endian
    block[271], block[274], block[282], block[283], block[296] = "Canon", 6, 72.0, 72.0, 2
    block[315], block[256], block[306] = "Ann Ö.", 4000, "2024:05:01 10:11:12"
    block.get_ifd(34665).update({33434: 0.005, 37500: note, 40962: 4000, 40963: 3000, 36867: "2024:05:01 10:11:12"})
    block.get_ifd(34853).update({1: "N", 2: (47.0, 22.0, 1.5)})
    thumbnail = block.tobytes()
    # A second folder that points at a thumbnail, behind everything.
    tiff = bytearray(thumbnail[6:])
    order = endian
    (first,) = struct.unpack_from(order + "I", tiff, 4)
    (count,) = struct.unpack_from(order + "H", tiff, first)
    struct.pack_into(order + "I", tiff, first + 2 + 12 * count, len(tiff))
    at = len(tiff) + 2 + 24 + 4
    folder = struct.pack(order + "HHHIIHHIII", 2, 513, 4, 1, at, 514, 4, 1, len(SECRET), 0)
    return exif.PREFIX + bytes(tiff) + folder + SECRET


def by_pillow(block: bytes) -> dict[int, object]:
    """All tags of the three folders, by another reader."""
    found = Image.Exif()
    found.load(block)
    return {**dict(found), **found.get_ifd(34665), **found.get_ifd(34853)}


@pytest.mark.parametrize("endian", ["<", ">"])
def test_what_is_true_stays_and_what_is_untrue_goes(endian):
    kept = exif.kept(camera(endian))
    assert exif.byte_order(kept) == endian
    found = by_pillow(kept)
    assert found[271] == "Canon"
    assert (found[306], found[36867], float(found[33434])) == ("2024:05:01 10:11:12", "2024:05:01 10:11:12", 0.005)
    assert found[2] == (47.0, 22.0, 1.5)
    assert not {256, 274, 282, 283, 296, 513, 37500, 40962, 40963} & found.keys()
    assert SECRET[:200] in camera(endian)
    assert SECRET[:200] not in kept
    assert exif.parse(kept) == (1, None)
    assert exif.kept(kept) == kept
    assert exif.parse(camera(endian)) == (6, (72, 72))


def test_many_large_values_take_no_more_memory_than_a_block():
    entries = b"".join(struct.pack("<HHII", tag, 7, 60_000, 0) for tag in range(1, 100))
    first = struct.pack("<4sIHHHIII", b"II*\0", 8, 1, 34665, 4, 1, 26, 0)
    block = first + struct.pack("<H", 99) + entries + bytes(60_000)
    assert len(exif.kept(block)) < 2**20 + 1000


def test_nothing_to_keep_is_none():
    block = Image.Exif()
    block[274] = 3
    assert exif.kept(block.tobytes()) is None
    assert exif.kept(b"") is None
    assert exif.kept(b"II*\0\xff\xff\xff\xff") is None


def test_a_damaged_block_gives_what_is_sound_or_nothing():
    whole = camera()
    for cut in range(len(whole)):
        kept = exif.kept(whole[:cut])
        assert kept is None or set(by_pillow(kept)) <= set(by_pillow(whole)) | {34665, 34853}
    endless = struct.pack("<4sIHHHIII", b"II*\0", 8, 1, 34665, 4, 1, 8, 8)  # a folder below that is the first itself
    assert exif.parse(endless) == (1, None)
    assert exif.kept(endless) is not None


@pytest.mark.parametrize("endian", ["<", ">"])
@pytest.mark.parametrize("depth", [8, 16, 32])
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_a_file_gives_back_what_it_was_given(tmp_path, suffix, depth, endian):
    pixels = np.random.default_rng(0).random((9, 14, 3), np.float32)
    before = Photo(pixels, bit_depth=depth, icc=b"\0" * 16 + b"RGB " + bytes(108), dpi=(300, 150))
    write_photo(before, tmp_path / f"bare{suffix}")
    with_exif = Photo(pixels, None, depth, before.icc, before.dpi, exif=exif.kept(camera(endian)))
    assert not [n for n in write_photo(with_exif, tmp_path / f"a{suffix}") if "EXIF" in n]
    bare, after = read_photo(tmp_path / f"bare{suffix}"), read_photo(tmp_path / f"a{suffix}")
    assert after.exif == with_exif.exif
    assert bare.exif is None
    assert np.array_equal(after.pixels, bare.pixels)
    assert (after.icc, after.dpi) == (bare.icc, bare.dpi)
    if suffix == ".tif" and depth > 8:  # Pillow reads no such colours
        with tifffile.TiffFile(tmp_path / f"a{suffix}") as file:
            assert file.pages[0].tags[34665].value["ExposureTime"] == 0.005
    else:
        with Image.open(tmp_path / f"a{suffix}") as image:
            read = image.getexif()
            assert (read[271], read.get_ifd(34853)[2]) == ("Canon", (47.0, 22.0, 1.5))


def test_a_large_tiff_too(tmp_path):
    """Above 4 GB places in a file are of 8 bytes; a small file of that kind stands for one."""
    with (tmp_path / "a.tif").open("w+b") as file:
        tifffile.imwrite(file, np.zeros((4, 5), np.uint8), bigtiff=True, metadata=None, software=False)
        exif.add_to_tiff(file, exif.kept(camera()))
    photo = read_photo(tmp_path / "a.tif")
    assert (photo.exif, photo.width) == (exif.kept(camera()), 5)


def test_a_tiff_that_describes_its_arrays_says_nothing_of_the_picture(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((4, 5), np.uint8), software=False)
    assert read_photo(tmp_path / "a.tif").exif is None
    tifffile.imwrite(tmp_path / "b.tif", np.zeros((4, 5), np.uint8), description="a cat", metadata=None)
    assert b"a cat" in read_photo(tmp_path / "b.tif").exif


def test_where_there_is_no_room_it_is_said(tmp_path):
    long = Image.Exif()
    for tag in (270, 315, 33432):
        long[tag] = "x" * 30_000
    photo = Photo(np.zeros((3, 4, 3), np.float32), exif=exif.kept(long.tobytes()))
    assert write_photo(photo, tmp_path / "a.jpg") == ["EXIF is not kept: JPEG has no room for so much"]
    assert write_photo(photo, tmp_path / "a.npy") == ["EXIF is not kept: NPY has none"]
    assert write_photo(photo, tmp_path / "a.png") == []
    assert read_photo(tmp_path / "a.jpg").exif is None
    assert read_photo(tmp_path / "a.png").exif == photo.exif


def test_a_larger_picture_keeps_it():
    photo = Photo(np.zeros((3, 4, 3), np.float32), exif=exif.kept(camera()), lossy="a lossy WebP")
    larger = photo.like(np.zeros((3, 6, 8), np.float32), (6, 8))
    assert (larger.exif, larger.lossy) == (photo.exif, None)
    assert io.BytesIO(larger.exif).read(4) == b"II*\0"
