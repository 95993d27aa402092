"""Perturbations are undone exactly: what is left between results is the tool's doing."""

import numpy as np
import pytest

from veriscale.imaging.resize import resize
from veriscale.imaging.rounding import quantised
from veriscale.trust.perturbations import PERTURBATIONS, Flip, Noise, Shift
from veriscale.trust.scores.variance import variance

SHIFTS = [p for p in PERTURBATIONS if isinstance(p, Shift)]
FLIPS = [p for p in PERTURBATIONS if isinstance(p, Flip)]


def measurement(shape=(12, 17, 3)):
    return np.random.default_rng(0).random(shape, np.float32)


def nearest(y, scale=4):
    return y.repeat(scale, axis=0).repeat(scale, axis=1)


def bicubic(y, scale=4):
    return resize(y, scale * y.shape[0], scale * y.shape[1])


def spread(tool, perturbations, y, scale=4):
    reference = tool(y)
    return variance([reference, *(p.undo(tool(p.apply(y)), reference, scale) for p in perturbations)])


def test_there_are_two_flips_four_shifts_and_noise_each_with_its_name():
    assert len(FLIPS) == 2
    assert {(p.axis, p.step) for p in SHIFTS} == {(0, 1), (0, -1), (1, 1), (1, -1)}
    assert len({p.name for p in PERTURBATIONS}) == len(PERTURBATIONS) == 7


@pytest.mark.parametrize("perturbation", PERTURBATIONS, ids=lambda p: p.name)
@pytest.mark.parametrize("channels", [1, 3])
def test_shape_type_and_arguments_are_kept(perturbation, channels):
    y = measurement((6, 5, channels))
    before = y.copy()
    changed = perturbation.apply(y)
    assert changed.shape == y.shape
    assert changed.dtype == np.float32
    assert not np.array_equal(changed, y)
    assert 0 <= changed.min() <= changed.max() <= 1
    x, reference = nearest(changed), nearest(y)
    again = perturbation.undo(x, reference, 4)
    assert again.shape == x.shape
    assert again.dtype == np.float32
    again[:] = 2  # it is the caller's own
    np.testing.assert_array_equal(x, nearest(changed))
    np.testing.assert_array_equal(reference, nearest(y))
    np.testing.assert_array_equal(y, before)


@pytest.mark.parametrize("perturbation", FLIPS + SHIFTS, ids=lambda p: p.name)
@pytest.mark.parametrize("scale", [1, 3])
def test_undone_exactly_on_a_tool_that_repeats_pixels(perturbation, scale):
    y = measurement()
    changed = nearest(perturbation.apply(y), scale)
    np.testing.assert_array_equal(perturbation.undo(changed, nearest(y, scale), scale), nearest(y, scale))
    assert np.abs(changed - nearest(y, scale)).max() > 0.5  # without undoing


@pytest.mark.parametrize("perturbation", SHIFTS, ids=lambda p: p.name)
def test_a_shift_moves_content_by_one_pixel_and_repeats_the_edge(perturbation):
    y = measurement()
    moved = np.moveaxis(perturbation.apply(y), perturbation.axis, 0)
    y = np.moveaxis(y, perturbation.axis, 0)
    if perturbation.step == -1:
        moved, y = moved[::-1], y[::-1]
    np.testing.assert_array_equal(moved[1:], y[:-1])
    np.testing.assert_array_equal(moved[0], y[0])


@pytest.mark.parametrize("perturbation", SHIFTS, ids=lambda p: p.name)
def test_what_left_the_picture_comes_from_the_reference(perturbation):
    x, reference = np.zeros((24, 36, 1), np.float32), np.ones((24, 36, 1), np.float32)
    undone = np.moveaxis(perturbation.undo(x, reference, 4), perturbation.axis, 0)
    lost = slice(-4, None) if perturbation.step == 1 else slice(4)
    assert undone[lost].all()
    assert undone.sum() == undone[lost].size


def test_a_picture_narrower_than_its_shift_is_the_reference():
    reference = np.ones((3, 3, 1), np.float32)
    for shift in SHIFTS:
        np.testing.assert_array_equal(shift.undo(np.zeros_like(reference), reference, 4), reference)


def test_bicubic_resizing_does_not_spread_under_flips_nor_inside_under_shifts():
    y = measurement()
    assert spread(bicubic, FLIPS, y).max() < 1e-11
    assert spread(bicubic, SHIFTS, y)[12:-12, 12:-12].max() < 1e-11
    assert spread(bicubic, SHIFTS, y).max() > 1e-4  # its edges are mirrored, not repeated, and that counts
    assert spread(bicubic, PERTURBATIONS, y).min() > 1e-8  # the noise is everywhere


@pytest.mark.parametrize("perturbation", FLIPS + SHIFTS, ids=lambda p: p.name)
def test_a_tool_that_is_not_equivariant_spreads(perturbation):
    def pairwise(y):  # averages pixels two by two, from the top left corner
        return nearest(y[: y.shape[0] // 2 * 2, : y.shape[1] // 2 * 2].reshape(6, 2, 8, 2, 3).mean(axis=(1, 3)), 8)

    def slanted(y):  # a vertical ramp on top
        return pairwise(y) + np.linspace(0, 1, 48, dtype=np.float32)[:, None, None]

    tool = slanted if perturbation == Flip(0) else pairwise
    y = measurement((12, 17, 3)) if perturbation == Flip(1) else measurement((12, 16, 3))
    assert spread(tool, [perturbation], y).mean() > 1e-3


def test_noise_is_faint_the_same_every_time_and_survives_8_bits():
    y = np.full((200, 200, 3), 0.5, np.float32)
    noise = Noise().apply(y) - y
    assert noise.std() == pytest.approx(1 / 255, rel=0.01)
    np.testing.assert_array_equal(Noise().apply(y), Noise().apply(y))
    assert np.abs(Noise(seed=1).apply(y) - y - noise).max() > 1 / 255
    stored = quantised(y + noise, 8).astype(int) - quantised(y, 8)
    assert 0.2 < (stored == 0).mean() < 0.5
    assert stored.std() == pytest.approx(1, abs=0.1)
    lost = quantised(Noise(std=0.1 / 255).apply(y), 8).astype(int) - quantised(y, 8)
    assert (lost != 0).mean() < 0.55  # 0.5 lies between two steps: half of the pixels turn even so
    black = np.zeros((50, 50, 1), np.float32)
    assert Noise().apply(black).min() == 0
