"""Odd files: what becomes of each is told apart, and a part of them comes out as the whole has to."""

import numpy as np
import pytest

from veriscale.imaging.photo import Photo, from_array
from veriscale.workflows import batch

PART = ["rgba16.png", "interlaced.png", "orientation_6.jpg", "lossless.jpg", "premultiplied.tif", "clear.gif",
        "run_length.bmp", "sixteen.jp2", "ten_bits.avif", "fortran.npy", "-dash.png", "new\nline.png"]  # fmt: skip
NONE = ["bomb.png", "truncated.jpg", "nan.tif", "animated.webp", "pickled.npy", "header.heic", "folder.png", "pipe.png"]


@pytest.fixture
def kinds(benchmark):
    return benchmark("input_kinds")


@pytest.fixture
def files(benchmark):
    return benchmark("odd_files")


@pytest.mark.parametrize("name", PART + NONE)
def test_a_part_of_the_files(kinds, tmp_path, name):
    assert kinds.outcome(name, tmp_path) == ("refused" if name in NONE else "restored")


def test_a_fault_is_a_traceback(kinds, tmp_path, monkeypatch):
    monkeypatch.setattr(batch, "read_photo", lambda *_: 1 / 0)
    assert kinds.outcome("dpi.png", tmp_path) == "traceback"


def test_another_outcome_than_meant_is_told(kinds, files, tmp_path, monkeypatch):
    monkeypatch.setitem(kinds.FILES, "torn.png", files.of_bytes(b"?", files.RGB))
    assert kinds.outcome("torn.png", tmp_path).startswith("refused, and there is a picture in it")
    (tmp_path / "b").mkdir()
    monkeypatch.setitem(kinds.FILES, "sound.png", files.none(files.saved()))
    assert kinds.outcome("sound.png", tmp_path / "b") == "restored, and there is no picture in it"


@pytest.mark.parametrize("change, words", [
    (lambda p: p, "restored"), (lambda p: p[::-1], "another picture"), (lambda p: p[:, ::-1], "another picture"),
    (lambda p: p[::-1, ::-1], "another picture"), (lambda p: 255 - p, "another picture"), (lambda p: p[:-2], "from"),
    (lambda p: p.swapaxes(0, 1), "from"), (lambda p: p[..., 0], "from"),
    (lambda p: p.astype(np.uint16) * 257, "16 bits from 8"), (lambda p: np.dstack([p, p[..., 0]]), "transparency"),
])  # fmt: skip
def test_another_picture_is_told(kinds, files, change, words):
    result = from_array(np.ascontiguousarray(change(files.RGB.repeat(2, 0).repeat(2, 1))), "result")
    assert words in kinds.compared(files.RGB, result)


def test_what_is_lost_in_silence_is_told(kinds, tmp_path, monkeypatch):
    held = kinds.RICH["rich.png"][1]
    assert kinds.survival("rich.png", held, "keep", tmp_path) == {**dict.fromkeys(held, True), "in silence": False}
    (tmp_path / "b").mkdir()
    lost = {"ICC": False, "EXIF": False, "dpi": False}
    found = kinds.survival("rich.png", held, "npy", tmp_path / "b")
    assert found == {**dict.fromkeys(held, True), **lost, "in silence": False}
    (tmp_path / "c").mkdir()
    like = Photo.like
    monkeypatch.setattr(Photo, "like", lambda *of: Photo(like(*of).pixels, like(*of).alpha, 16, None, like(*of).dpi))
    found = kinds.survival("rich.png", held, "keep", tmp_path / "c")
    assert (found["ICC"], found["EXIF"], found["in silence"]) == (0, 0, 2)
