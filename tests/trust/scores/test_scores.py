"""Scores measure what they say: nothing between equal runs, nothing moved, nothing lost to half precision."""

import numpy as np
import pytest

from veriscale.errors import InputError
from veriscale.trust.scores.gradient import gradient
from veriscale.trust.scores.variance import blurred_variance, variance
from veriscale.trust.smoothing import smoothed


def draws(count=10, shape=(9, 12, 3), std=0.1, seed=0):
    rng = np.random.default_rng(seed)
    return [np.float32(0.5) + rng.normal(0, std, shape).astype(np.float32) for _ in range(count)]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("score", [variance, lambda runs: blurred_variance(runs, 2.0)])
def test_ten_equal_runs_score_exactly_zero(score, dtype):
    run = np.random.default_rng(0).random((21, 34, 3)).astype(dtype)
    assert not score([run.copy() for _ in range(10)]).any()
    changed = run.copy()
    changed[4, 5, 2] += dtype(0.01)
    assert score([run] * 9 + [changed])[4, 5] > 0


@pytest.mark.parametrize("channels", [1, 3])
def test_variance_is_between_draws_and_summed_over_channels(channels):
    runs = draws(shape=(70, 300, channels))  # more than one block of values
    expected = np.var(np.array(runs, np.float64), axis=0, ddof=1).sum(axis=2)
    assert variance(runs).dtype == np.float32
    np.testing.assert_allclose(variance(runs), expected, rtol=1e-6)


def test_a_run_that_varies_in_space_alone_scores_nothing():
    ramp = np.linspace(0, 1, 30, dtype=np.float32).reshape(5, 6, 1)
    assert not variance([ramp, ramp, ramp]).any()


def test_half_precision_does_not_cancel():
    steps = np.random.default_rng(0).integers(-1, 2, (8, 6, 7, 1))
    runs = (0.9 + steps * 2.0**-11).astype(np.float16)  # neighbours among the numbers of half precision
    expected = np.var(runs.astype(np.float64), axis=0, ddof=1).sum(axis=2)
    np.testing.assert_allclose(variance(list(runs)), expected, rtol=1e-6)
    mean_of_squares = (runs**2).mean(axis=0) - runs.mean(axis=0) ** 2  # what goes wrong in half precision
    assert np.abs(mean_of_squares[..., 0] * 8 / 7 - expected).max() > expected.max()


def test_a_large_offset_does_not_cancel():
    runs = [1e4 + run for run in draws(std=1.0, shape=(4, 5, 1))]
    np.testing.assert_allclose(variance(runs), np.var(np.array(runs, np.float64), axis=0, ddof=1)[..., 0], rtol=1e-6)


def test_draws_are_streamed():
    alive = 0

    class Tracked(np.ndarray):
        def __del__(self):
            nonlocal alive
            alive -= 1

    def stream():
        nonlocal alive
        for run in draws(6):
            alive += 1
            yield run.view(Tracked)
            assert alive <= 2

    np.testing.assert_array_equal(variance(stream()), variance(draws(6)))


@pytest.mark.parametrize("shape", [(61, 73), (60, 72), (61, 72)])
@pytest.mark.parametrize("std", [0.6, 2.0, 5.0])
def test_an_impulse_stays_where_it_is(shape, std):
    impulse = np.zeros(shape, np.float32)
    row, column = shape[0] // 2, shape[1] // 2
    impulse[row, column] = 1
    spread = smoothed(impulse, std)
    assert spread.shape == shape
    assert np.unravel_index(spread.argmax(), shape) == (row, column)
    for near in ((row - 1, column), (row, column - 1)):  # and its two sides are alike
        other = (2 * row - near[0], 2 * column - near[1])
        assert spread[near] == spread[other] < spread[row, column]


def test_smoothing_keeps_the_mean_and_mirrors_the_edges():
    values = np.random.default_rng(0).random((30, 41)).astype(np.float32)
    assert smoothed(values, 3).mean() == pytest.approx(values.mean(), abs=1e-6)  # a circular or zero edge would not
    mirrored = np.pad(values, 20, mode="symmetric")
    np.testing.assert_allclose(smoothed(mirrored, 3)[20:-20, 20:-20], smoothed(values, 3), atol=1e-6)
    circular = np.pad(values, 20, mode="wrap")
    assert np.abs(smoothed(circular, 3)[20:-20, 20:-20] - smoothed(values, 3)).max() > 0.02
    np.testing.assert_array_equal(smoothed(values, 0), values)


def test_blurring_the_draws_removes_what_pixels_do_alone_and_keeps_what_they_do_together():
    alone = draws(40, (60, 60, 1))
    ratio = blurred_variance(alone, 2.0)[10:-10, 10:-10].mean() / variance(alone).mean()  # mirrored edges repeat noise
    assert ratio == pytest.approx(1 / (4 * np.pi * 2.0**2), rel=0.1)  # the sum of the squared weights
    together = [np.full((40, 40, 1), level, np.float32) for level in (0.1, 0.5, 0.6)]
    np.testing.assert_allclose(blurred_variance(together, 2.0), variance(together), rtol=1e-4)


def test_gradient_of_a_plane_is_its_slope():
    rows, columns = np.mgrid[:60, :70].astype(np.float32)
    plane = np.stack([0.003 * rows, 0.004 * columns, 0 * rows], axis=2)
    inside = gradient(plane, 2.0)[15:-15, 15:-15]
    np.testing.assert_allclose(inside, 0.005, rtol=1e-3)
    assert gradient(plane, 2.0).dtype == np.float32
    grey = gradient(plane[..., :1], 2.0)
    np.testing.assert_allclose(grey[15:-15, 15:-15], 0.003, rtol=1e-3)
    assert grey[0].max() < 0.002  # mirrored at the edge, where a plane folds


def test_gradient_is_greatest_on_an_edge():
    step = np.zeros((20, 24, 3), np.float32)
    step[:, 12:] = 1
    profile = gradient(step, 1.0)[10]
    assert profile[11] == pytest.approx(profile[12], rel=1e-5)
    assert profile[11] == profile.max()
    assert profile[0] < 1e-6


def test_one_draw_or_draws_of_two_sizes_are_refused():
    with pytest.raises(InputError, match="at least 2 of them, got 1"):
        variance(draws(1))
    with pytest.raises(InputError, match="at least 2 of them, got 0"):
        blurred_variance([], 2.0)
    with pytest.raises(InputError, match=r"one shape, got \(9, 12, 3\) and \(9, 12, 1\)"):
        variance([draws(1)[0], draws(1)[0][..., :1]])
