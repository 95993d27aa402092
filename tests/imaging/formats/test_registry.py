"""One more format is one object in the registry: whatever lists formats or asks about one then knows it."""

import re
from pathlib import Path
from typing import IO

import numpy as np
import pytest

from veriscale.errors import InputError
from veriscale.imaging.formats import registry
from veriscale.imaging.formats.format import Beside, Format
from veriscale.imaging.photo import Photo, from_array
from veriscale.imaging.read import read_photo
from veriscale.imaging.write import write_photo
from veriscale.workflows.inputs import collect
from veriscale.workflows.restoring.restoration import suffix_of


def read(path: Path, max_pixels: int) -> Photo:
    magic, height, width, samples = path.read_bytes().split(b" ", 3)
    assert magic == b"RAW"
    return from_array(np.frombuffer(samples, np.uint8).reshape(int(height), int(width)), str(path))


def write(pixels: np.ndarray, beside: Beside, file: IO[bytes]) -> None:
    file.write(b"RAW %d %d %b" % (*pixels.shape[:2], pixels.tobytes()))


RAW = Format(
    "raw",
    "Raw",
    (".raw",),
    b"RAW ",
    read,
    write,
    (8,),
    longest_side=9,
    alpha=False,
    tagged=False,
)


@pytest.fixture
def raw(monkeypatch):
    monkeypatch.setitem(registry.FORMATS, "raw", RAW)
    monkeypatch.setitem(registry.EXTENSIONS, ".raw", RAW)


@pytest.mark.usefixtures("raw")
def test_a_new_format_is_written_read_and_found(tmp_path):
    before = Photo(np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4, 1), np.ones((3, 4), np.float32), dpi=(72, 72))
    assert write_photo(before, tmp_path / "a.raw") == [
        "alpha is not kept: Raw has none",
        "the resolution in dpi is not kept: Raw has none",
    ]
    assert np.abs(read_photo(tmp_path / "a.raw").pixels - before.pixels).max() < 1 / 255
    assert [i.path.name for i in collect([tmp_path])[0]] == ["a.raw"]
    assert suffix_of("raw", before) == ".raw"
    assert (registry.keeps_8_bits(Path("a.RAW")), registry.keeps_floats(Path("a.RAW"))) == (True, False)


@pytest.mark.usefixtures("raw")
def test_sentences_list_a_new_format(tmp_path):
    (tmp_path / "a.txt").write_text("words")
    with pytest.raises(InputError, match="known: PNG, JPEG, TIFF, WebP, NPY, BMP, GIF, AVIF, JPEG 2000, Raw"):
        read_photo(tmp_path / "a.txt")
    with pytest.raises(InputError, match=r"known: \.png, .*\.npy, \.raw"):
        write_photo(Photo(np.zeros((1, 1, 1), np.float32)), tmp_path / "a.rrrr")
    with pytest.raises(InputError, match="too large for Raw, whose sides end at 9"):
        write_photo(Photo(np.zeros((1, 10, 1), np.float32)), tmp_path / "b.raw")
    with pytest.raises(InputError, match=r"holds no image; known: \.png.*\.raw"):
        collect([tmp_path])
    with pytest.raises(InputError, match="known: keep, jfif, jif, jpe, jpeg, jpg, npy, png, raw, tif, tiff, webp"):
        suffix_of("gif", Photo(np.zeros((1, 1, 1), np.float32)))


def test_no_two_formats_claim_one_file_or_extension():
    assert len(registry.EXTENSIONS) == sum(len(f.extensions) for f in registry.FORMATS.values())
    for f in registry.FORMATS.values():
        assert list(f.depths) == sorted(f.depths)
        if f.write is not None:
            assert registry.format_of(f"a{f.extensions[-1].upper()}") is f
            continue
        with pytest.raises(InputError, match=rf"{f.title} is read and not written; .*known: \.png.*\.npy$"):
            registry.format_of(f"a{f.extensions[0]}")


@pytest.mark.parametrize("name", [n for n, f in registry.FORMATS.items() if f.write is not None])
def test_only_a_format_itself_knows_its_beginning(tmp_path, name):
    kind = registry.FORMATS[name]
    file = tmp_path / f"a{kind.extensions[0]}"
    write_photo(Photo(np.zeros((2, 3, 3), np.float32)), file)
    assert [f.name for f in registry.FORMATS.values() if re.match(f.signature, file.read_bytes()[:16], re.DOTALL)] == [
        name
    ]


@pytest.mark.parametrize("suffix, exact, floats", [
    (".png", True, False), (".jpeg", False, False), (".tif", True, True), (".webp", True, False), (".npy", False, True),
    (".gif", False, False),
])  # fmt: skip
def test_what_a_file_keeps(suffix, exact, floats):
    assert (registry.keeps_8_bits(Path(f"a{suffix}")), registry.keeps_floats(Path(f"a{suffix}"))) == (exact, floats)
