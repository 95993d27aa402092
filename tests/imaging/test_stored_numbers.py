"""A file's numbers: values out of them and back, rounded and clipped to their type."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from veriscale.imaging.stored_numbers import StoredNumbers

integers = st.sampled_from(["u1", "i1", "<i2", ">i2", "<u2", "<i4", ">u4"])


@given(integers, st.floats(0.001, 100), st.floats(-5000, 5000), st.integers(0, 1000))
def test_numbers_come_back(dtype, slope, intercept, seed):
    stored = StoredNumbers(np.dtype(dtype), slope, intercept)
    kind = np.iinfo(dtype)
    numbers = np.random.default_rng(seed).integers(kind.min, kind.max, 50, endpoint=True).astype(dtype)
    back, clipped = stored.numbers(stored.values(numbers))
    assert back.dtype == np.dtype(dtype)
    assert clipped == 0
    np.testing.assert_array_equal(back, numbers)


def test_without_a_scale_numbers_are_values():
    numbers = np.arange(5, dtype=np.int16)
    assert StoredNumbers(np.dtype(np.int16)).values(numbers) is numbers
    assert StoredNumbers(np.dtype(np.int16), 2, 1).values(numbers).tolist() == [1, 3, 5, 7, 9]


def test_integers_are_rounded_and_clipped_and_the_clipped_counted():
    numbers, clipped = StoredNumbers(np.dtype("u1"), 2, -100).numbers(np.array([-101.1, -100.9, 0, 410.9, 412.0]))
    assert numbers.tolist() == [0, 0, 50, 255, 255]
    assert clipped == 2


def test_a_negative_slope_turns_the_ends_round():
    numbers, clipped = StoredNumbers(np.dtype("u1"), -1, 255).numbers(np.array([-1.0, 0, 255, 256]))
    assert numbers.tolist() == [255, 255, 0, 0]
    assert clipped == 2


@pytest.mark.parametrize("dtype", ["i8", "u8"])
def test_64_bits_do_not_wrap_round(dtype):
    numbers, clipped = StoredNumbers(np.dtype(dtype)).numbers(np.array([1e30, -1e30, 5]))
    assert numbers[0] > 2**62
    assert numbers[1] == np.iinfo(dtype).min
    assert clipped == 2


@pytest.mark.parametrize("dtype", ["<f4", ">f8"])
def test_floats_are_neither_rounded_nor_clipped(dtype):
    values = np.array([-1e9, 0.125, 3e5])
    numbers, clipped = StoredNumbers(np.dtype(dtype), 0.5).numbers(values)
    assert numbers.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(numbers, values * 2)
    assert clipped == 0


@pytest.mark.parametrize("values, lost", [([-0.8, 0.2, 510.8], 0), ([-1.2, 0.2, 511.2], 2)])
def test_what_rounding_takes_back_is_not_clipped(values, lost):
    """Half a stored step beyond either end is what every number is off by."""
    numbers, clipped = StoredNumbers(np.dtype(np.uint8), slope=2.0).numbers(np.array(values))
    assert clipped == lost
    assert numbers.tolist() == [0, 0, 255]


@pytest.mark.parametrize("dtype, step", [(np.uint8, 2.5), (np.int16, 2.5), (np.float32, 0)])
def test_neighbouring_values_are_a_slope_apart(dtype, step):
    assert StoredNumbers(np.dtype(dtype), slope=-2.5).step == step
