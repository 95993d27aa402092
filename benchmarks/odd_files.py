"""Odd picture files, each with the picture in it: what cameras, editors, scanners and accidents leave behind."""

import io
import os
import struct
import zlib
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps
from PIL.PngImagePlugin import PngInfo

Picture = NDArray[Any] | None  # upright, (H, W) or (H, W, 2 to 4), of its integers or of floats; None for none
Maker = Callable[[Path], Picture]

PHOTOGRAPHS = Path(find_spec("skimage").submodule_search_locations[0]) / "data"
with Image.open(PHOTOGRAPHS / "coffee.png") as whole:
    PHOTO = whole.convert("RGB").crop((150, 60, 390, 220)).resize((48, 32), Image.Resampling.BOX)
RGB = np.asarray(PHOTO)
GREY = np.asarray(PHOTO.convert("L"))
RAMP = np.tile(np.linspace(60, 255, 48).astype(np.uint8), (32, 1))
DEEP = RGB.astype(np.uint16) * 257
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
ADOBE_LIKE = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()[:16] + b"RGB " + SRGB[20:]
GREY_PROFILE = SRGB[:16] + b"GRAY" + SRGB[20:]


def block(orientation: int = 1, dpi: int | None = None) -> Image.Exif:
    """A camera's EXIF block, with the place and the number of pixels."""
    made = Image.Exif()
    made.endian = "<"
    if dpi is not None:
        made[282], made[283], made[296] = float(dpi), float(dpi), 2
    made[271], made[274], made[306] = "Camera", orientation, "2024:05:01 10:11:12"
    made.get_ifd(34665).update({33434: 0.005, 40962: 4000, 40963: 3000})
    made.get_ifd(34853).update({1: "N", 2: (47.0, 22.0, 1.5)})
    return made


def saved(image: Image.Image = PHOTO, kind: str | None = None, exact: bool = True, **options: Any) -> Maker:
    """A file by Pillow; what it holds is the image, or where that is not exact what Pillow reads of it."""

    def make(path: Path) -> Picture:
        image.save(path, kind, **options)
        if not exact:
            with Image.open(path) as seen:
                return np.asarray(ImageOps.exif_transpose(seen))
        clear = "transparency" in options or image.mode == "RGBA"
        plain = {"1": "L", "P": "RGBA" if clear else "RGB"}.get(image.mode, image.mode)
        return np.asarray(ImageOps.exif_transpose(image).convert(plain))

    return make


def turned(orientation: int) -> Maker:
    """A JPEG whose camera was held otherwise."""
    return saved(exact=False, exif=block(orientation), quality=95)


def tiff(array: NDArray[Any], picture: Picture, **options: Any) -> Maker:
    """A file by tifffile."""

    def make(path: Path) -> Picture:
        tifffile.imwrite(path, array, **{"metadata": None, **options})
        return picture

    return make


def of_bytes(data: bytes, picture: Picture = None) -> Maker:
    """A file of these bytes."""

    def make(path: Path) -> Picture:
        path.write_bytes(data)
        return picture

    return make


def npy(array: NDArray[Any], picture: Picture = None) -> Maker:
    """A file by NumPy."""

    def make(path: Path) -> Picture:
        np.save(path, array, allow_pickle=True)
        return picture

    return make


def cut(maker: Maker, share: float) -> Maker:
    """The first part of a file."""

    def make(path: Path) -> Picture:
        maker(path)
        data = path.read_bytes()
        path.write_bytes(data[: int(share * len(data))])
        return None

    return make


def none(maker: Maker) -> Maker:
    """A file that must not be restored."""

    def make(path: Path) -> Picture:
        maker(path)
        return None

    return make


def thumbnail(path: Path) -> Picture:
    """EXIF with a second folder that points at a small JPEG."""
    small = io.BytesIO()
    PHOTO.resize((16, 12)).save(small, "JPEG")
    tiff = bytearray(block().tobytes()[6:])
    (first,) = struct.unpack_from("<I", tiff, 4)
    (count,) = struct.unpack_from("<H", tiff, first)
    struct.pack_into("<I", tiff, first + 2 + 12 * count, len(tiff))
    data = small.getvalue()
    tiff += struct.pack("<HHHIIHHIII", 2, 513, 4, 1, len(tiff) + 30, 514, 4, 1, len(data), 0) + data
    return saved(exact=False, exif=b"Exif\0\0" + bytes(tiff), quality=95)(path)


def broken_exif(path: Path) -> Picture:
    """EXIF whose first folder is nowhere."""
    picture = saved(exact=False)(path)  # Pillow warns of the block, and reads the same without it
    PHOTO.save(path, exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    return picture


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", len(body), name) + body + struct.pack(">I", zlib.crc32(name + body))


def png(array: NDArray[Any], kind: int, *more: bytes, interlaced: bool = False, side: int | None = None) -> bytes:
    """A PNG by hand: kind 0 grey, 2 colour, 4 and 6 with alpha; its header may say another side."""
    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    parts = [array[y::down, x::right] for x, y, right, down in passes] if interlaced else [array]
    rows = b"".join(b"\0" + row.astype(row.dtype.newbyteorder(">")).tobytes() for p in parts if p.size for row in p)
    height, width = array.shape[:2] if side is None else (side, side)
    header = struct.pack(">IIBBBBB", width, height, 8 * array.itemsize, kind, 0, 0, interlaced)
    chunks = [chunk(b"IHDR", header), *more, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def gamma() -> PngInfo:
    info = PngInfo()
    info.add(b"gAMA", struct.pack(">I", 45455))
    return info


def link(path: Path) -> Picture:
    target = path.with_name("a_target.png")
    PHOTO.save(target)
    path.symlink_to(target)
    return RGB


def dead_link(path: Path) -> Picture:
    path.symlink_to(path.with_name("nowhere.png"))
    return None


def folder(path: Path) -> Picture:
    path.mkdir()
    return None


def pipe(path: Path) -> Picture:
    os.mkfifo(path)
    return None


def locked(path: Path) -> Picture:
    PHOTO.save(path)
    path.chmod(0)
    return None


def rle(path: Path) -> Picture:
    """A run-length encoded BMP of 8 bits, rows from the bottom, every pixel a run of its own."""
    indices = np.asarray(PHOTO.quantize(64))
    palette = np.asarray(PHOTO.quantize(64).getpalette()[: 64 * 3], np.uint8).reshape(-1, 3)
    body = b"".join(b"".join(bytes([1, v]) for v in row) + b"\0\0" for row in indices[::-1]) + b"\0\1"
    table = b"".join(bytes([b, g, r, 0]) for r, g, b in palette)
    at = 14 + 40 + len(table)
    header = struct.pack("<IiiHHIIiiII", 40, 48, 32, 1, 8, 1, len(body), 3780, 3780, 64, 0)
    path.write_bytes(b"BM" + struct.pack("<IHHI", at + len(body), 0, 0, at) + header + table + body)
    return palette[indices]


def jpeg_of_12_bits(path: Path) -> Picture:
    path.write_bytes(imagecodecs.jpeg_encode(DEEP >> 4, level=95, bitspersample=12))
    return None


FLOAT = RGB / np.float32(255)
CLEAR = np.dstack([RGB, RAMP])
FILES: dict[str, Maker] = {
    "palette.png": saved(PHOTO.quantize(64)),
    "palette_clear.png": saved(PHOTO.quantize(64), transparency=200),
    "bit.png": saved(PHOTO.convert("1", dither=Image.Dither.NONE)),
    "grey16.png": of_bytes(png(DEEP[..., 0], 0), DEEP[..., 0]),
    "colour16.png": of_bytes(png(DEEP, 2), DEEP),
    "rgba.png": saved(Image.fromarray(CLEAR)),
    "rgba16.png": of_bytes(png(CLEAR.astype(np.uint16) * 257, 6), CLEAR.astype(np.uint16) * 257),
    "grey_alpha.png": of_bytes(png(np.dstack([GREY, RAMP]), 4), np.dstack([GREY, RAMP])),
    "interlaced.png": of_bytes(png(RGB, 2, interlaced=True), RGB),
    "interlaced16.png": of_bytes(png(DEEP, 2, interlaced=True), DEEP),
    "animated.png": none(saved(save_all=True, append_images=[PHOTO.rotate(180)])),
    "gamma.png": saved(pnginfo=gamma()),
    "srgb_profile.png": saved(icc_profile=SRGB),
    "other_profile.png": saved(icc_profile=ADOBE_LIKE),
    "grey_profile.png": saved(PHOTO.convert("L"), icc_profile=GREY_PROFILE),
    "broken_profile.png": saved(icc_profile=b"no profile"),
    "dpi.png": saved(dpi=(300, 150)),
    "exif.png": saved(exif=block()),
    "truncated.png": cut(saved(), 0.6),
    "wrong_checksum.png": of_bytes(png(RGB, 2).replace(b"IDAT", b"IDAT\0", 1)),
    "bomb.png": of_bytes(png(GREY, 0, side=60_000)),
    "no_pixels.png": of_bytes(png(np.zeros((0, 0), np.uint8), 0)),
    "one_pixel.png": none(saved(PHOTO.crop((0, 0, 1, 1)))),
    "one_by_5000.png": none(saved(PHOTO.resize((1, 5000)))),
    "cmyk.jpg": none(saved(PHOTO.convert("CMYK"))),
    "cmyk_inverted.jpg": none(saved(ImageOps.invert(PHOTO).convert("CMYK"))),
    "grey.jpg": saved(PHOTO.convert("L"), exact=False),
    "progressive.jpg": saved(exact=False, progressive=True),
    "subsampled.jpg": saved(exact=False, quality=40, subsampling=2),
    "twelve_bits.jpg": jpeg_of_12_bits,
    "lossless.jpg": of_bytes(imagecodecs.ljpeg_encode(GREY), GREY),
    "truncated.jpg": cut(saved(), 0.6),
    "jpeg_named.png": saved(kind="JPEG", exact=False),
    "png_named.jpg": saved(kind="PNG"),
    "stereo.jpg": saved(kind="MPO", exact=False, save_all=True, append_images=[PHOTO.rotate(180)]),
    **{f"orientation_{k}.jpg": turned(k) for k in range(1, 9)},
    "orientation_9.jpg": saved(exact=False, exif=block(9)),
    "thumbnail.jpg": thumbnail,
    "broken_exif.jpg": broken_exif,
    "cmyk_profile.jpg": saved(exact=False, icc_profile=SRGB[:16] + b"CMYK" + SRGB[20:]),
    "pages.tif": none(saved(save_all=True, append_images=[PHOTO.rotate(180)])),
    "tiled.tif": tiff(RGB, RGB, photometric="rgb", tile=(16, 16)),
    "float.tif": tiff(FLOAT, FLOAT, photometric="rgb"),
    "half.tif": tiff(FLOAT.astype(np.float16), FLOAT, photometric="rgb"),
    "nan.tif": tiff(FLOAT * np.float32(np.nan), None, photometric="rgb"),
    "sixteen.tif": tiff(DEEP, DEEP, photometric="rgb"),
    "lzw.tif": tiff(RGB, RGB, photometric="rgb", compression="lzw", predictor=True),
    "deflate.tif": tiff(DEEP, DEEP, photometric="rgb", compression="adobe_deflate", predictor=True),
    "jpeg.tif": saved(exact=False, compression="jpeg"),
    "ycbcr.tif": none(saved(PHOTO.convert("YCbCr"))),
    "cmyk.tif": none(saved(PHOTO.convert("CMYK"))),
    "signed.tif": tiff(GREY.astype(np.int16), None),
    "thirty_two_bits.tif": tiff(GREY.astype(np.uint32), None),
    "big.tif": tiff(RGB, RGB, photometric="rgb", bigtiff=True),
    "big_endian.tif": tiff(DEEP, DEEP, photometric="rgb", byteorder=">"),
    "planar.tif": tiff(np.moveaxis(RGB, -1, 0).copy(), RGB, photometric="rgb", planarconfig="separate"),
    "white_is_zero.tif": tiff(GREY, 255 - GREY, photometric="miniswhite"),
    "premultiplied.tif": tiff(
        np.dstack([np.rint(RGB * (RAMP / 255)[..., None]).astype(np.uint8), RAMP]), CLEAR, photometric="rgb",
        extrasamples=["assocalpha"],
    ),
    "five_channels.tif": tiff(np.dstack([CLEAR, RAMP]), None, photometric="rgb", extrasamples=[2, 0]),
    "volume.tif": tiff(np.zeros((4, 16, 16), np.uint8), None, photometric=1, volumetric=True, tile=(4, 16, 16)),
    "truncated.tif": cut(saved(), 0.6),
    "exif.tif": saved(exif=block()),
    "lossy.webp": saved(exact=False),
    "lossless.webp": saved(lossless=True),
    "clear.webp": saved(Image.fromarray(CLEAR), exact=False),
    "animated.webp": none(saved(save_all=True, append_images=[PHOTO.rotate(180)])),
    "truncated.webp": cut(saved(), 0.6),
    "still.gif": saved(PHOTO.quantize(64)),
    "clear.gif": saved(PHOTO.quantize(64), transparency=3),
    "animated.gif": none(saved(save_all=True, append_images=[PHOTO.rotate(180)])),
    "twenty_four.bmp": saved(),
    "thirty_two.bmp": saved(PHOTO.convert("RGBA").convert("RGB")),
    "palette.bmp": saved(PHOTO.quantize(64)),
    "bit.bmp": saved(PHOTO.convert("1", dither=Image.Dither.NONE)),
    "run_length.bmp": rle,
    "truncated.bmp": cut(saved(), 0.6),
    "reversible.jp2": saved(),
    "irreversible.jp2": saved(exact=False, irreversible=True),
    "sixteen.jp2": of_bytes(imagecodecs.jpeg2k_encode(DEEP, level=0), DEEP),
    "codestream.j2k": saved(),
    "truncated.jp2": cut(saved(), 0.6),
    "lossy.avif": saved(exact=False),
    "ten_bits.avif": of_bytes(imagecodecs.avif_encode(DEEP >> 6, level=100, bitspersample=10), FLOAT),
    "turned.avif": saved(exact=False, exif=block(6)),
    "animated.avif": none(saved(save_all=True, append_images=[PHOTO.rotate(180)])),
    "truncated.avif": cut(saved(), 0.6),
    "float32.npy": npy(FLOAT, FLOAT),
    "float64.npy": npy(FLOAT.astype(np.float64), FLOAT),
    "bytes.npy": npy(RGB, RGB),
    "fortran.npy": npy(np.asfortranarray(DEEP), DEEP),
    "int.npy": npy(RGB.astype(np.int64)),
    "complex.npy": npy(FLOAT.astype(np.complex64)),
    "volume.npy": npy(np.zeros((8, 16, 16), np.float32)),
    "four_axes.npy": npy(np.zeros((1, 3, 16, 16), np.float32)),
    "pickled.npy": npy(np.array([{"a": 1}], object)),
    "empty_array.npy": npy(np.zeros((0, 5, 3), np.float32)),
    "icon.ico": none(saved()),
    "header.psd": of_bytes(b"8BPS\0\1" + bytes(100)),
    "header.heic": of_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100)),
    "drawing.svg": of_bytes(b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>"),
    "paper.pdf": of_bytes(b"%PDF-1.7\n" + bytes(100)),
    "empty.png": of_bytes(b""),
    "words.jpg": of_bytes(b"not a picture at all"),
    "zeros.png": of_bytes(bytes(1000)),
    "link.png": link,
    "dead_link.png": dead_link,
    "folder.png": folder,
    "pipe.png": pipe,
    "with spaces.png": saved(),
    "ünï→©ödé.png": saved(),
    "new\nline.png": saved(),
    "-dash.png": saved(),
    "CAPITALS.PNG": saved(),
    "no_extension": saved(kind="PNG"),
    "quote'\".png": saved(),
}  # fmt: skip
PROFILE = chunk(b"iCCP", b"ICC\0\0" + zlib.compress(SRGB))
DPI = chunk(b"pHYs", struct.pack(">IIB", 11811, 11811, 1))
CAMERA = chunk(b"eXIf", block().tobytes()[6:])
CLEAR_DEEP = CLEAR.astype(np.uint16) * 257
RICH: dict[str, tuple[Maker, tuple[str, ...]]] = {
    "rich.png": (
        of_bytes(png(CLEAR_DEEP, 6, PROFILE, DPI, CAMERA)),
        ("more than 8 bits", "alpha", "ICC", "EXIF", "dpi"),
    ),
    "rich.jpg": (saved(icc_profile=SRGB, exif=block(), dpi=(300, 300)), ("ICC", "EXIF", "dpi")),
    "rich.tif": (
        tiff(
            CLEAR_DEEP,
            None,
            photometric="rgb",
            extrasamples=["unassalpha"],
            iccprofile=SRGB,
            resolution=(300, 300),
            resolutionunit="INCH",
            extratags=[(271, 2, 7, b"Camera\0", True)],
        ),
        ("more than 8 bits", "alpha", "ICC", "EXIF", "dpi"),
    ),
    "rich.webp": (
        saved(Image.fromarray(CLEAR), lossless=True, icc_profile=SRGB, exif=block(dpi=300)),
        ("alpha", "ICC", "EXIF", "dpi"),
    ),
    "rich.npy": (npy(CLEAR / np.float32(255)), ("more than 8 bits", "alpha")),
    "rich.bmp": (saved(dpi=(300, 300)), ("dpi",)),
    "rich.gif": (saved(PHOTO.quantize(64), transparency=3), ("alpha",)),
    "rich.avif": (
        saved(Image.fromarray(CLEAR), icc_profile=SRGB, exif=block(dpi=300)),
        ("alpha", "ICC", "EXIF", "dpi"),
    ),
    "rich.jp2": (of_bytes(imagecodecs.jpeg2k_encode(DEEP, level=0)), ("more than 8 bits",)),
}
"""A file of each kind with all that it can hold: what makes it, and what that is."""

if os.geteuid():  # for root every file is open
    FILES["locked.png"] = locked
