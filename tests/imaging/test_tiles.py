import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from veriscale.errors import InputError
from veriscale.imaging.tiles import tiles


@given(st.integers(1, 20), st.integers(1, 20), st.integers(2, 12), st.integers(0, 6), st.integers(1, 4))
def test_cores_partition_the_picture_and_windows_hold_them(height, width, size, halo, align):
    shape = (height * align, width * align)
    seen = np.zeros(shape, int)
    whole = np.arange(seen.size).reshape(shape)
    for tile in tiles(*shape, size * align, halo * align, align):
        seen[tile.core] += 1
        np.testing.assert_array_equal(whole[tile.window][tile.inside], whole[tile.core])
        for window, core, length in zip(tile.window, tile.core, shape, strict=True):
            assert window.start == max(0, core.start - halo * align)
            assert window.stop == min(length, core.stop + halo * align)
            assert window.start % align == window.stop % align == 0
    assert (seen == 1).all()


def test_a_scaled_tile_covers_the_same_extent():
    tile = tiles(20, 30, 10, 3)[-1].scaled(4)
    assert tile.core == (slice(40, 80), slice(80, 120))
    assert tile.inside == (slice(12, 52), slice(12, 52))


def test_numbers_off_the_stride_are_refused():
    with pytest.raises(InputError, match="multiples of 8"):
        tiles(20, 24, 8, 0, 8)
