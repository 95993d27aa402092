"""Canvases: in memory while small, in a nameless temporary file when large."""

import gc
import os
import resource
import tempfile

import numpy as np
import pytest

from veriscale.errors import InputError
from veriscale.imaging.canvas import canvas


def mapped(array: np.ndarray) -> bool:
    while isinstance(array, np.ndarray):
        if isinstance(array, np.memmap):
            return True
        array = array.base
    return False


def test_limit_is_64_megapixels_whatever_the_channels():
    assert not mapped(canvas((8000, 8000)))
    assert not mapped(canvas((8000, 8000, 4)))
    assert not mapped(canvas((3, 8000, 8000)))


@pytest.mark.parametrize("shape", [(11, 10), (11, 10, 3), (3, 11, 10), (2, 11, 10, 1)])
def test_above_the_limit_it_is_a_file_of_zeros(tmp_path, shape):
    array = canvas(shape, tmp_path, in_memory=109)
    assert mapped(array)
    assert array.shape == shape
    assert array.dtype == np.float32
    assert not array.any()
    array += 7.5
    assert (array == 7.5).all()
    assert not mapped(canvas(shape, tmp_path, in_memory=110 * (2 if len(shape) == 4 else 1)))


def test_nothing_stays_behind(tmp_path):
    gc.collect()
    open_before = len(os.listdir("/proc/self/fd"))
    array = canvas((100, 100), tmp_path, in_memory=0)
    view = array[5:, ::2]
    del array
    view[:] = 1  # the file lives as long as any view
    assert view.sum() == view.size
    del view
    gc.collect()
    assert list(tmp_path.iterdir()) == []
    assert len(os.listdir("/proc/self/fd")) == open_before


def test_space_is_claimed_at_once(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(InputError, match="no room for a canvas"):
            canvas((100, 100), tmp_path, in_memory=0)
        assert canvas((50, 100), tmp_path, in_memory=0).size == 5000  # 20 kB is the last that fits
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def kept(monkeypatch):
    """The temporary files, kept open."""
    files, make = [], tempfile.TemporaryFile

    def watched(**kwargs: object) -> object:
        file = make(**kwargs)
        files.append(os.dup(file.fileno()))
        return file

    monkeypatch.setattr(tempfile, "TemporaryFile", watched)
    yield files
    for file in files:
        os.close(file)


def test_claimed_space_is_not_merely_announced(tmp_path, kept):
    array = canvas((100, 100), tmp_path, in_memory=0)
    assert os.fstat(kept[0]).st_blocks * 512 >= array.nbytes


def test_without_fallocate_space_is_claimed_by_writing(tmp_path, kept, monkeypatch):
    monkeypatch.delattr(os, "posix_fallocate")
    array = canvas((700, 601), tmp_path, in_memory=0)  # more than one block of zeros is written, the last one in part
    assert os.fstat(kept[0]).st_size == array.nbytes == 1_682_800
    assert os.fstat(kept[0]).st_blocks * 512 >= array.nbytes
    assert not array.any()


def test_folder_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match=r"no temporary file can be made in .*none"):
        canvas((10, 10), tmp_path / "none", in_memory=0)
