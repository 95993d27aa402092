"""The drift check: an exactly valid p-value of statistics that see what a photograph is not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from scipy.stats import binom

from veriscale.errors import InputError
from veriscale.trust.drift import nonconformity, p_value, statistics

NAMES = ["brightness", "contrast", "fineness", "quietness", "own noise", "grey share", "flat share"]


def rounded(picture):
    return (np.rint(np.clip(picture, 0, 1) * 255) / 255).astype(np.float32)


def photograph(seed, side=48):
    """Blobs of colour at several scales with the sharpness that measurements have: no photograph, but like one here."""
    rng = np.random.default_rng(seed)
    scales = [side / 4, side / 12, 1.2, 0.5]
    shared = sum(gaussian_filter(rng.normal(0, s, (side, side, 1)), (s, s, 0), mode="wrap") for s in scales)
    colour = sum(gaussian_filter(rng.normal(0, s, (side, side, 3)), (s, s, 0), mode="wrap") for s in scales[:2])
    return rounded(rng.uniform(0.35, 0.6) + rng.uniform(0.3, 0.5) * (shared + 0.5 * colour))


def described(picture):
    return dict(zip(NAMES, statistics(picture), strict=True))


def heavy(rng, n):
    """Statistics with heavy tails, strong correlation, a share that is mostly 0 and many ties."""
    common = rng.standard_t(2, (n, 1))
    rare = np.where(rng.random((n, 1)) < 0.1, rng.exponential(10, (n, 1)), 0)
    return np.hstack([common + rng.normal(0, 0.1, (n, 3)), rare, np.round(rng.standard_cauchy((n, 2)))])


def rejections(check, n, runs=3000):
    rng = np.random.default_rng(0)
    sets = [heavy(rng, n + 1) for _ in range(runs)]
    return np.array([check(values[:n], values[n]) for values in sets])


@pytest.mark.parametrize("n", [9, 19, 50])
def test_p_is_uniform_for_exchangeable_statistics_however_odd(n):
    p = rejections(p_value, n)
    for k in range(1, n + 1, max(1, n // 10)):
        level = k / (n + 1)
        low, high = binom.ppf([1e-4, 1 - 1e-4], len(p), level) / len(p)
        assert low <= np.mean(p <= level + 1e-12) <= high


def folders(rng, n, pictures=10):
    """Statistics of the pictures of n folders, which resemble each other within a folder: (n, pictures, 3)."""
    return rng.normal(0, 10, (n, 1, 3)) + rng.normal(0, 1, (n, pictures, 3))


@pytest.mark.parametrize("kept, valid", [(1, True), (10, False)])
def test_one_picture_a_folder_gives_a_uniform_p_and_all_of_them_do_not(kept, valid):
    rng = np.random.default_rng(0)
    p = []
    for _ in range(1000):
        whole = folders(rng, 21)
        p.append(p_value(whole[:20, :kept].reshape(-1, 3), whole[20, 0]))
    for level in np.arange(1, 21) / 21:
        low, high = binom.ppf([1e-4, 1 - 1e-4], len(p), level) / len(p)
        assert not valid or low <= np.mean(np.array(p) <= level + 1e-12) <= high
    assert valid or np.mean(np.array(p) < 0.05) > 0.1


def test_a_score_that_leaves_the_new_one_out_is_not_valid():
    def learned_elsewhere(calibration, new):  # the usual mistake: distances from a model of the calibration alone
        mean, inverse = calibration.mean(0), np.linalg.inv(np.cov(calibration.T) + np.eye(len(new)))
        distance = [(x - mean) @ inverse @ (x - mean) for x in np.vstack([calibration, new])]
        return np.mean(distance >= distance[-1])

    p = rejections(learned_elsewhere, 19, 1000)
    assert np.mean(p <= 0.05 + 1e-12) > 0.1


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(1, 5))
def test_over_any_set_at_most_k_of_its_members_have_p_up_to_k_over_m(seed, m, kinds):
    # The identity behind the validity; with duplicates (few kinds for many members) and constants among them.
    rng = np.random.default_rng(seed)
    units = rng.standard_t(1, (kinds, 3))[rng.integers(kinds, size=m)]
    p = np.array([p_value(np.delete(units, j, axis=0), units[j]) for j in range(m)])
    assert ((p * m).round(9) % 1 == 0).all()
    for k in range(1, m + 1):
        assert np.sum(p <= k / m + 1e-12) <= k


def test_order_of_the_calibration_does_not_matter():
    rng = np.random.default_rng(0)
    for values in (heavy(rng, 31) for _ in range(200)):
        assert p_value(values[:30], values[30]) == p_value(values[29::-1], values[30])


def test_ends_of_the_scale():
    calibration = np.random.default_rng(0).normal(0, 5, (50, 4))
    assert p_value(calibration, np.array([0.0, 90, 0, 0])) == 1 / 51
    assert p_value(calibration, calibration.mean(axis=0)) == 1
    assert p_value(np.ones((50, 4)), np.ones(4)) == 1  # all alike: nothing is unusual
    assert p_value(np.empty((0, 4)), np.ones(4)) == 1  # nothing to compare with


def test_less_than_the_tolerance_never_stands_out_of_real_differences():
    calibration = np.random.default_rng(0).normal(0, 3, (50, 4))
    calibration[:, 3] = 7  # never varies
    assert p_value(calibration, np.array([0, 0, 0, 7.5])) > 0.5
    assert p_value(calibration, np.array([0, 0, 0, 20])) == 1 / 51


def test_photographs_are_like_photographs_and_nothing_else_is():
    calibration = np.array([statistics(photograph(seed)) for seed in range(50)])
    others = [photograph(seed) for seed in range(100, 160)]
    rng = np.random.default_rng(0)

    def alarms(pictures):
        return np.mean([p_value(calibration, statistics(x)) < 0.05 for x in pictures])

    assert alarms(others) < 0.2
    assert alarms([rounded(x + rng.normal(0, 0.05, x.shape)) for x in others]) == 1
    assert alarms([x.mean(axis=2, keepdims=True) for x in others]) == 1
    assert alarms([x.repeat(2, axis=0).repeat(2, axis=1) for x in others]) == 1
    assert alarms([rounded(gaussian_filter(x, (1.5, 1.5, 0))) for x in others]) > 0.9


def test_each_statistic_sees_its_own():
    picture = photograph(0)
    rng = np.random.default_rng(0)
    usual = described(picture)
    assert described(rounded(picture * 0.5))["brightness"] < usual["brightness"] - 5
    assert described(1 - picture)["brightness"] == pytest.approx(-usual["brightness"], abs=1e-4)
    half = described(0.5 + (picture - 0.5) / 2)
    assert half["contrast"] == pytest.approx(usual["contrast"] - 10 * np.log(2), abs=0.3)
    assert half["fineness"] == pytest.approx(usual["fineness"], abs=0.3)  # detail relative to detail
    assert described(gaussian_filter(picture, (1, 1, 0)))["fineness"] < usual["fineness"] - 5
    smooth = gaussian_filter(picture, (2, 2, 0))
    quiet = described(smooth)
    shared = described(smooth + rng.normal(0, 0.05, (48, 48, 1)))
    single = described(smooth + rng.normal(0, 0.05, picture.shape))
    assert shared["quietness"] > quiet["quietness"] + 15
    assert shared["own noise"] < quiet["own noise"] + 1  # what the channels share is not their own
    assert single["own noise"] > quiet["own noise"] + 15
    screen = picture.copy()
    screen[:, :24] = 1  # half of it white: grey and flat
    assert described(screen)["flat share"] == pytest.approx(5, abs=0.2)
    assert described(screen)["grey share"] == pytest.approx(5, abs=0.2)
    assert usual["flat share"] < 0.2
    assert usual["grey share"] < 1  # a few clipped pixels


def test_noise_is_measured_in_its_own_units():
    noise = np.random.default_rng(0).normal(0, 0.05, (160, 160, 3))
    quiet = np.exp(described(0.5 + noise)["own noise"] / 10) - 0.5 / 255
    assert 0.02 < quiet < 0.05  # a low quantile of small blocks lies below the level, by a fixed factor
    louder = np.exp(described(0.5 + 2 * noise)["own noise"] / 10) - 0.5 / 255
    assert louder == pytest.approx(2 * quiet, rel=1e-6)


def test_straight_edges_are_no_noise():
    bars = np.where(np.arange(48) % 12 < 6, 0.2, 0.8)[None, :, None] + np.zeros((48, 48, 3))
    assert described(bars)["quietness"] == described(np.full((48, 48, 3), 0.3))["quietness"]


def test_grey_is_described_as_colour_with_equal_channels():
    grey = photograph(1)[..., :1]
    np.testing.assert_allclose(statistics(grey), statistics(np.repeat(grey, 3, axis=2)), atol=1e-6)
    assert described(grey)["grey share"] == 10


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("shape", [(8, 8, 1), (8, 40, 3), (9, 8, 3)])
def test_constant_and_small_pictures_have_finite_statistics(level, shape):
    values = statistics(np.full(shape, level, np.float32))
    assert values.shape == (7,)
    assert values.dtype == np.float64
    assert np.isfinite(values).all()


@pytest.mark.parametrize("seed", range(10))
def test_grey_noise_has_no_noise_of_its_own(seed):
    grey = rounded(np.random.default_rng(seed).random((48, 48, 1)))  # eigenvalues of 0, or just below by rounding
    assert described(grey)["own noise"] == pytest.approx(10 * np.log(0.5 / 255), abs=1e-3)


def test_bad_input_is_explained():
    with pytest.raises(InputError, match="at least 8×8 pixels, got 30×7"):
        statistics(np.zeros((7, 30, 3)))
    broken = np.zeros((9, 9, 3))
    broken[4, 4, 0] = np.nan
    with pytest.raises(InputError, match="NaN"):
        statistics(broken)
    with pytest.raises(InputError, match=r"shape \(5, 6\) and the measurement's are \(7,\)"):
        p_value(np.zeros((5, 6)), np.zeros(7))


def test_the_nonconformity_is_symmetric():
    values = heavy(np.random.default_rng(0), 20)
    order = np.random.default_rng(1).permutation(20)
    np.testing.assert_allclose(nonconformity(values)[order], nonconformity(values[order]), rtol=1e-9)
