"""Levels: found in the measurement, robust to outliers, undone exactly."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from veriscale.errors import InputError
from veriscale.imaging.normalisation import HEADROOM, Levels, levels_of


def scan(seed=0, background=0.5, scale=1000.0):
    rng = np.random.default_rng(seed)
    return np.where(rng.random((20, 20, 20)) < background, 0, rng.gamma(4, scale / 4, (20, 20, 20)))


def test_zero_is_zero_where_nothing_is_negative():
    values = scan()
    levels = levels_of(values, "scan")
    assert levels.low == 0
    assert levels.high == HEADROOM * np.percentile(values[values > 0], 99.9)


def test_background_does_not_count():
    values = scan(background=0)
    padded = np.zeros((40, 40, 40))
    padded[:20, :20, :20] = values
    assert levels_of(padded, "scan") == levels_of(values, "scan")


def test_background_does_not_count_between_negative_and_positive_values():
    values = scan(background=0) - 1000
    padded = np.r_[values.ravel(), np.zeros(200 * values.size)]
    assert levels_of(padded, "scan").high > 0.9 * levels_of(values, "scan").high


def test_one_wild_voxel_does_not_count():
    values = scan()
    high = levels_of(values, "scan").high
    values[3, 3, 3] = 1e9
    assert levels_of(values, "scan").high == pytest.approx(high, rel=0.1)


def test_negative_scans_have_a_robust_low():
    values = scan() - 500
    values[3, 3, 3] = -1e9
    levels = levels_of(values, "scan")
    assert levels.low == pytest.approx(-500, abs=1)
    assert levels.high == pytest.approx(levels_of(scan(), "scan").high - 500, rel=0.1)


def test_the_scanners_unit_does_not_matter():
    values = scan()
    np.testing.assert_allclose(
        levels_of(values, "a").applied(values), levels_of(37 * values, "b").applied(37 * values), rtol=1e-6
    )


def test_nothing_is_clipped():
    x = Levels(100, 200).applied(np.array([0, 100, 200, 300]))
    assert x.dtype == np.float32
    np.testing.assert_array_equal(x, [-1, 0, 1, 2])


@given(
    st.sampled_from([np.uint8, np.int8, np.int16, np.uint16]), st.integers(0, 2**32), st.sampled_from([1, 0.0754, 11])
)
def test_integers_come_back(dtype, seed, slope):
    kind = np.iinfo(dtype)
    rng = np.random.default_rng(seed)
    stored = rng.integers(kind.min, kind.max, 500, dtype, endpoint=True)
    stored[::7] = rng.integers(kind.min, kind.max, dtype=dtype)
    values = stored.astype(np.float64) * slope - 500
    levels = levels_of(values, "scan")
    back = np.rint((levels.undone(levels.applied(values)) + 500.0) / slope)
    np.testing.assert_array_equal(back.astype(dtype), stored)


def test_floats_come_back_to_their_last_digits():
    values = scan().astype(np.float32)
    levels = levels_of(values, "scan")
    back = levels.undone(levels.applied(values))
    np.testing.assert_allclose(back, values, rtol=2e-7)
    assert (back[values == 0] == 0).all()


def test_a_difference_is_scaled_by_the_width():
    levels = Levels(-50, 150)
    assert levels.width == 200
    assert levels.undone(np.array(0.75)) - levels.undone(np.array(0.5)) == 0.25 * levels.width


@pytest.mark.parametrize("constant", [0, -1000, 40])
def test_a_volume_97_percent_constant_with_content_works(constant):
    values = np.full((20, 20, 20), float(constant))
    values.flat[: int(0.03 * values.size)] = constant + np.random.default_rng(0).uniform(100, 200, 240)
    levels = levels_of(values, "scan")
    x = levels.applied(values)
    assert np.ptp(x) > 0.5
    assert levels.high == pytest.approx(constant + 200, rel=0.1)


def test_content_below_a_constant_counts():
    values = np.r_[np.full(970, -5.0), np.linspace(-90, -6, 30)]
    low = np.percentile(values, 0.1)
    assert levels_of(values, "scan") == Levels(low, low + HEADROOM * (-5 - low))


@pytest.mark.parametrize(
    "values, sentence",
    [
        (np.zeros(50), "scan is 0 everywhere: there is nothing in it"),
        (np.full(50, 7, np.int16), "scan is 7 everywhere"),
        (np.full(50, -3.5), "scan is -3.5 everywhere"),
        (np.array([0, 1, np.nan]), "scan holds NaN or infinite values"),
        (np.array([0, 1, np.inf]), "scan holds infinite values"),
        (np.r_[np.full(9999, 0.0), -1], "scan has no contrast: nearly all of its voxels are 0"),
        (np.array([-1.7e308, 1.7e308, 1e308]), "scan holds values of 1.7e+308, which no scan has"),
    ],
)
def test_scans_without_contrast_are_refused(values, sentence):
    with np.errstate(over="ignore"), pytest.raises(InputError) as error:
        levels_of(values, "scan")
    assert sentence in str(error.value)
