"""Rounding is to the nearest, within [0, 1], and needs no second canvas."""

import tracemalloc

import numpy as np
import pytest

from veriscale.imaging.photo import Photo
from veriscale.imaging.read import read_photo
from veriscale.imaging.rounding import as_stored, quantised
from veriscale.imaging.write import write_photo


def test_quantised_rounds_to_nearest():
    samples = np.linspace(-0.1, 1.1, 300_000, dtype=np.float32).reshape(100, 1000, 3)
    wanted = np.floor(np.clip(samples.astype(np.float64), 0, 1) * 65535 + 0.5)
    off = np.abs(quantised(samples, 16) - wanted)
    assert off.max() <= 1  # ties and float32 rounding
    assert off.mean() < 1e-2


def test_quantised_needs_no_second_canvas():
    samples = np.full((4000, 3000, 3), 0.5, np.float32)
    tracemalloc.start()
    out = quantised(samples, 8)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak - out.nbytes < samples.nbytes / 2
    assert (out == 128).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_is_stored_is_what_a_file_gives_back(tmp_path, dtype):
    values = np.random.default_rng(0).uniform(-0.2, 1.2, (60, 50, 3)).astype(dtype)
    write_photo(Photo(values.astype(np.float32)), tmp_path / "a.png")
    stored = as_stored(values)
    assert stored.dtype == np.float32
    np.testing.assert_array_equal(stored, read_photo(tmp_path / "a.png").pixels)
    np.testing.assert_array_equal(as_stored(stored), stored)
