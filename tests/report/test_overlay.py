"""What is trusted stays as it is; what is not is seen at once, in colour, in grey, small and large."""

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import binary_dilation
from skimage import data

from veriscale.errors import InputError
from veriscale.report.overlay import LINE, Hatch, hatch_for, overlay

RNG = np.random.default_rng(0)


def photograph(channels):
    picture = data.chelsea()[:200, :260].astype(np.float32) / 255
    return picture if channels == 3 else picture[..., :1]


def blob(shape):
    rows, columns = np.indices(shape)
    return np.hypot(rows - shape[0] / 2, columns - shape[1] / 3) < shape[0] / 3


def flat(value, shape=(60, 80)):
    return np.full((*shape, 1), value, np.float32)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", ["blob", "speckle", "all", "none"])
def test_trusted_pixels_are_unchanged_and_the_others_are_grey(channels, kind):
    picture = photograph(channels)
    shape = picture.shape[:2]
    speckle = RNG.random(shape) < 0.5
    trusted = {"blob": blob(shape), "speckle": speckle, "all": np.ones(shape, bool), "none": np.zeros(shape, bool)}[
        kind
    ]
    before = picture.copy()
    shown = overlay(picture, trusted)
    assert (shown.shape, shown.dtype) == ((*shape, 3), np.float32)
    assert np.array_equal(shown[trusted], np.broadcast_to(picture, shown.shape)[trusted])
    assert (np.ptp(shown[~trusted], axis=-1) == 0).all()
    assert 0 <= shown.min() <= shown.max() <= 1
    assert np.array_equal(picture, before)


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_lines_stand_out_alike_on_black_and_white(value):
    shown = overlay(flat(value), np.zeros((60, 80), bool))[..., 0]
    assert np.unique(shown).size == 2
    assert np.ptp(shown) == pytest.approx(LINE)


def test_lines_are_diagonal_and_evenly_spaced():
    shown = overlay(flat(0.5), np.zeros((60, 80), bool))[..., 0]
    assert np.array_equal(shown[1:, :-1], shown[:-1, 1:])
    assert np.array_equal(shown[:, 8:], shown[:, :-8])
    assert (shown == shown.min()).mean() == pytest.approx(1 / 8)


def test_a_grey_print_shows_the_mask():
    """No grey of the untrusted part is one of the picture's, and every 8 by 8 pixels of it hold a line."""
    trusted = np.zeros((60, 80), bool)
    trusted[:, 40:] = True
    for value in (0.0, 1.0):
        shown = overlay(flat(value), trusted)[..., 0]
        untrusted = shown[:, :38]
        assert np.abs(untrusted - value).min() >= 0.09
        assert all(np.ptp(untrusted[i : i + 8, j : j + 8]) == pytest.approx(LINE) for i in range(52) for j in range(30))


def test_lines_do_not_move_with_the_mask():
    picture = photograph(3)
    first, second = blob(picture.shape[:2]), RNG.random(picture.shape[:2]) < 0.01
    away = ~binary_dilation(first | second)
    assert away.mean() > 0.3
    assert np.array_equal(overlay(picture, first)[away], overlay(picture, second)[away])


@pytest.mark.parametrize("size, width", [(60, 1), (2000, 3)])
def test_the_outline_is_as_wide_as_a_line_and_lies_outside_of_what_is_trusted(size, width):
    trusted = np.zeros((60, size), bool)
    trusted[20:40, 20:40] = True
    shown = overlay(flat(0.5, trusted.shape), trusted)[..., 0]
    outline = shown < 0.5 + 0.15 - LINE - 0.01  # darker than any line
    assert np.array_equal(outline, binary_dilation(trusted, iterations=width) & ~trusted)


def test_one_pixel_that_is_not_trusted_is_seen():
    trusted = np.ones((60, 80), bool)
    trusted[30, 30] = False
    for value in (0.25, 1.0):
        assert abs(overlay(flat(value), trusted)[30, 30, 0] - value) > 0.1


def contrast(shown):
    """Spread of greys after a picture 4,000 pixels wide is shown on 640."""
    small = Image.fromarray(shown).resize((640, 64), Image.Resampling.BOX)
    return np.ptp(np.quantile(np.asarray(small), [0.05, 0.95]))


def test_lines_of_a_large_picture_survive_being_shown_reduced():
    shape = (400, 4000)
    assert hatch_for(*shape) == Hatch(36, 5)
    assert contrast(overlay(flat(0.5, shape), np.zeros(shape, bool))[..., 0]) > LINE / 2
    lines = np.add.outer(*map(np.arange, shape)) % 8 < 1  # what suits 320 pixels would be lost here
    assert contrast(np.float32(0.65) - np.float32(LINE) * lines) < LINE / 5


def test_values_out_of_range_are_clipped():
    trusted = np.zeros((4, 4), bool)
    trusted[:2] = True
    picture = np.array([-1.0, 2.0, 0.5, 0.5])[None, :, None].repeat(4, axis=0)
    assert overlay(picture, trusted)[0, :, 0].tolist() == [0, 1, 0.5, 0.5]
    assert overlay(picture, trusted).max() <= 1


@pytest.mark.parametrize(
    "shape, trusted, message",
    [
        ((4, 4), np.ones((4, 4), bool), r"got \(4, 4\): give grey or RGB"),
        ((4, 4, 4), np.ones((4, 4), bool), r"got \(4, 4, 4\): give grey or RGB"),
        ((4, 4, 3), np.ones((4, 5), bool), "give one truth value per pixel"),
        ((4, 4, 3), np.ones((4, 4)), "got a mask of .* float64: give one truth value per pixel"),
    ],
)
def test_what_is_no_mask_of_the_picture_is_refused(shape, trusted, message):
    with pytest.raises(InputError, match=message):
        overlay(np.zeros(shape), trusted)
