"""Stored integers hold the range and round by at most half a source step."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from veriscale.errors import InputError
from veriscale.imaging.dicom.stored_values import coarser, decimal, fitting


@given(
    step=st.floats(1e-6, 1e3),
    intercept=st.floats(-5e3, 5e3),
    signed=st.booleans(),
    low=st.integers(-200_000, 200_000),
    span=st.integers(0, 65_000),
    seed=st.integers(0, 99),
)
def test_rounding_is_at_most_half_a_source_step(step, intercept, signed, low, span, seed):
    samples = intercept + step * (low + span * np.random.default_rng(seed).random((3, 4, 5)))
    scale = fitting(samples, step, intercept, signed)
    stored = scale.stored(samples)
    assert stored.dtype == ("<i2" if scale.signed else "<u2")
    back = scale.slope * stored.astype(np.float64) + scale.intercept
    assert np.abs(back - samples).max() <= step / 2 * (1 + 1e-6) + 1e-9 * abs(samples).max()
    assert not coarser(scale, step)


def test_what_was_not_changed_is_stored_as_it_was():
    stored = np.random.default_rng(0).integers(-3000, 3000, (4, 4, 4))
    scale = fitting(stored * 0.5 - 100, 0.5, -100, True)
    np.testing.assert_array_equal(scale.stored(stored * 0.5 - 100), stored)
    assert (scale.slope, scale.intercept, scale.signed) == (0.5, -100, True)


def test_sign_and_intercept_change_only_where_they_must():
    assert fitting(np.array([0.0, 65535.0]), 1, 0, False) == fitting(np.array([0.0, 65535.0]), 1, 0, True)
    assert fitting(np.array([-5.0, 40.0]), 1, 0, False).signed
    moved = fitting(np.array([-5.0, 60000.0]), 1, 0, False)
    assert (moved.slope, moved.intercept, moved.signed) == (1, -5, False)


def test_a_range_that_fits_no_16_bits_has_a_coarser_step():
    samples = np.array([-1e5, 0, 1e5])
    scale = fitting(samples, 1, 0, True)
    assert coarser(scale, 1)
    back = scale.slope * scale.stored(samples).astype(np.float64) + scale.intercept
    assert np.abs(back - samples).max() <= scale.slope / 2 * (1 + 1e-9)
    assert scale.slope < 3.1


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_no_numbers(wrong):
    with pytest.raises(InputError, match="NaN or infinite"):
        fitting(np.array([0, wrong]), 1, 0, True)


@given(st.floats(-1e6, 1e6))
def test_decimals_are_what_files_hold(number):
    from pydicom.valuerep import DSfloat

    assert len(str(DSfloat(decimal(number)))) <= 16
    assert decimal(decimal(number)) == decimal(number) == pytest.approx(number, rel=1e-8, abs=1e-12)
