"""Discrepancies stay in their bounds, see what they should, and say which picture is broken."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.color import rgb2lab

from veriscale.errors import InputError
from veriscale.trust.discrepancies import DISCREPANCIES, lab, neighbourhood, parse_discrepancy, pointwise, semantic
from veriscale.trust.lab import rescaled_lab
from veriscale.trust.local_features import CELL, DIRECTIONS, FLAT
from veriscale.trust.smoothing import smoothed

STRINGS = ["pointwise", "lab", "neighbourhood:std=2", "neighbourhood:std=0.3", "semantic"]


def pictures(seed, kind="uniform", shape=(13, 17, 3)):
    rng = np.random.default_rng(seed)
    if kind == "uniform":
        return [rng.random(shape, np.float32) for _ in range(2)]
    if kind == "extremes":  # the corners of the cube of colours
        return [rng.integers(0, 2, shape).astype(np.float32) for _ in range(2)]
    return [np.zeros(shape, np.float32), np.ones(shape, np.float32)]  # the farthest apart that there is


@settings(deadline=None, max_examples=40)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from(["uniform", "extremes", "opposite"]),
    st.tuples(st.integers(1, 20), st.integers(1, 20), st.sampled_from([1, 3])),
    st.sampled_from(STRINGS),
)
def test_no_value_leaves_the_bound(seed, kind, shape, text):
    discrepancy = parse_discrepancy(text)
    image, truth = pictures(seed, kind, shape)
    values = discrepancy(image, truth)
    assert values.dtype == np.float32
    assert values.shape == shape[:2]
    assert values.min() >= 0
    assert values.max() <= discrepancy.bound


@pytest.mark.parametrize("std", [0.05, 0.7, 1.3, 2.0, 4.7, 100.0])
def test_opposite_constant_pictures_reach_one_and_not_more(std):
    black, white = pictures(0, "opposite", (40, 31, 3))
    values = neighbourhood(black, white, std)
    assert values.max() == 1
    assert values.min() > 1 - 1e-6


def test_what_is_really_above_the_bound_is_not_hidden():
    black, white = pictures(0, "opposite")
    for text in ("pointwise", "neighbourhood"):
        assert parse_discrepancy(text)(black, 1.001 * white).max() == pytest.approx(1.001, abs=1e-6)


@pytest.mark.parametrize("text", STRINGS)
def test_equal_pictures_differ_nowhere_and_order_does_not_matter(text):
    discrepancy = parse_discrepancy(text)
    image, truth = pictures(3)
    assert not discrepancy(image, image.copy()).any()
    np.testing.assert_array_equal(discrepancy(image, truth), discrepancy(truth, image))
    assert discrepancy(image, truth).any()


@pytest.mark.parametrize("text", STRINGS)
def test_grey_is_colour_with_equal_channels(text):
    discrepancy = parse_discrepancy(text)
    grey = pictures(4, shape=(12, 15, 1))
    colour = [np.repeat(x, 3, axis=2) for x in grey]
    np.testing.assert_allclose(discrepancy(*grey), discrepancy(*colour), atol=2e-6)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32 - 1), st.sampled_from([(1, 1, 1), (3, 200, 3), (130, 700, 3), (5, 4, 1)]))
def test_pointwise_is_the_largest_difference_of_a_channel(seed, shape):
    image, truth = pictures(seed, shape=shape)
    np.testing.assert_array_equal(pointwise(image, truth), np.abs(image - truth).max(axis=2))


def test_lab_is_that_of_scikit_image():
    colours = np.concatenate([*pictures(0, shape=(40, 40, 3)), *pictures(0, "extremes", (40, 40, 3))])
    colours[:9] = np.linspace(0, 0.05, 9, dtype=np.float32)[:, None, None]  # the straight parts near black
    expected = rgb2lab(colours.astype(np.float64)) / [100, 254, 254] + [0, 0.5, 0.5]
    np.testing.assert_allclose(rescaled_lab(colours), expected, atol=5e-5)


def test_lab_of_grey_has_no_colour():
    np.testing.assert_allclose(rescaled_lab(np.linspace(0, 1, 99, dtype=np.float32)[:, None])[:, 1:], 0.5, atol=1e-6)


def test_no_two_colours_of_srgb_are_two_apart_in_lab():
    # The greatest L1 distance within a set is the greatest range of any ±L ± a ± b.
    def greatest(colours):
        rescaled = rescaled_lab(colours.reshape(-1, 3).astype(np.float32)).astype(np.float64)
        return max(np.ptp(rescaled @ (1, *signs)) for signs in product((1, -1), repeat=2))

    corners = np.array(list(product((0, 1), repeat=3)))
    everywhere = np.array(list(product(np.arange(0, 256, 15) / 255, repeat=3)))
    assert greatest(corners) == greatest(everywhere) == pytest.approx(1.9576, abs=1e-3)
    green, blue = (np.eye(3, dtype=np.float32)[c].reshape(1, 1, 3) for c in (1, 2))
    assert lab(green, blue).item() == pytest.approx(1.9576, abs=1e-3)


@pytest.mark.parametrize("std", [1.0, 2.5])
def test_neighbourhood_is_pointwise_of_the_filtered_pictures(std):
    image, truth = pictures(5, shape=(11, 14, 3))
    t = np.arange(-40, 41)
    kernel = np.exp(-(t**2) / (2 * std**2))
    kernel /= kernel.sum()

    def filtered(x):
        for axis in (0, 1):
            reach = [(40, 40) if a == axis else (0, 0) for a in range(3)]
            mirrored = np.pad(x.astype(np.float64), reach, mode="symmetric")
            x = np.apply_along_axis(np.convolve, axis, mirrored, kernel, mode="valid")
        return x

    expected = np.abs(filtered(image) - filtered(truth)).max(axis=2)
    np.testing.assert_allclose(neighbourhood(image, truth, std), expected, atol=1e-4)


def test_neighbourhood_forgives_detail_that_averages_out_and_nothing_else():
    flat = np.full((32, 32, 3), 0.5, np.float32)
    board = (0.2 * (-1.0) ** np.add.outer(np.arange(32), np.arange(32))).astype(np.float32)[..., None]
    assert pointwise(flat + board, flat).min() == pytest.approx(0.2, abs=1e-6)
    assert neighbourhood(flat + board, flat).max() < 0.01
    assert neighbourhood(flat + 0.2, flat).min() == pytest.approx(0.2, abs=1e-6)


def test_semantic_is_its_formula():
    image, truth = pictures(6, shape=(16, 15, 1))

    def feature(x, row, column):
        padded = np.pad(x[..., 0].astype(np.float64), 1, mode="symmetric")
        rows, columns = (padded[2:, 1:-1] - padded[:-2, 1:-1]) / 2, (padded[1:-1, 2:] - padded[1:-1, :-2]) / 2
        entries = [FLAT]
        for k in range(DIRECTIONS):
            angle = 2 * np.pi * k / DIRECTIONS
            h = smoothed(np.maximum(np.sin(angle) * rows + np.cos(angle) * columns, 0), CELL)
            entries += [h[row + i, column + j] for i in (-2, 2) for j in (-2, 2)]
        return np.array(entries) / np.linalg.norm(entries)

    values = semantic(image, truth)
    for row, column in ((2, 2), (7, 5), (13, 12)):
        distance = np.linalg.norm(feature(image, row, column) - feature(truth, row, column))
        assert values[row, column] == pytest.approx(distance, abs=1e-5)


def test_semantic_sees_edges_and_their_direction_and_not_brightness():
    flat = np.full((32, 32, 1), 0.3, np.float32)
    edge = flat + 0.3 * (np.arange(32) > 15).astype(np.float32)[None, :, None]
    assert semantic(edge + 0.1, edge).max() < 1e-3
    assert semantic(edge, flat)[16, 16] > 0.9
    assert semantic(edge, flat)[16, 2] < 0.01  # far from the edge both are flat
    assert semantic(edge, edge.transpose(1, 0, 2))[16, 16] > 0.7
    assert semantic(edge, edge[:, ::-1])[16, 16] > 1.2  # dark to bright is not bright to dark


@pytest.mark.parametrize("text", STRINGS)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("which", ["image", "truth"])
def test_a_broken_picture_is_named(text, bad, which):
    image, truth = pictures(0)
    (image if which == "image" else truth)[3, 4, 1] = bad
    with pytest.raises(InputError, match=f"The {which} holds NaN"):
        parse_discrepancy(text)(image, truth)


@pytest.mark.parametrize("text", STRINGS)
@pytest.mark.parametrize("shape", [(13, 16, 3), (13, 17, 1), (13, 17)])
def test_pictures_that_do_not_match_are_refused(text, shape):
    with pytest.raises(InputError, match=r"one shape .* got \(13, 17, 3\)"):
        parse_discrepancy(text)(pictures(0)[0], np.zeros(shape, np.float32))
    two = np.zeros((4, 4, 2), np.float32)
    with pytest.raises(InputError, match="1 or 3 channels"):
        parse_discrepancy(text)(two, two)


def test_strings_have_one_form():
    for text in DISCREPANCIES:
        assert parse_discrepancy(str(parse_discrepancy(text))) == parse_discrepancy(text)
    assert str(parse_discrepancy("neighbourhood")) == "neighbourhood:std=2"
    assert str(parse_discrepancy(" neighbourhood:std=2.50 ")) == "neighbourhood:std=2.5"
    assert str(parse_discrepancy("neighbourhood:std=1.23456789")) == "neighbourhood:std=1.23456789"
    assert [parse_discrepancy(text).bound for text in DISCREPANCIES] == [1, 2, 1, 2]
    image, truth = pictures(1)
    np.testing.assert_array_equal(
        parse_discrepancy("neighbourhood:std=3")(image, truth), neighbourhood(image, truth, 3)
    )


@pytest.mark.parametrize(
    "text, sentence",
    [
        ("pointwize", "did you mean 'pointwise'.*known: pointwise, lab, neighbourhood, semantic"),
        ("", "known: pointwise"),
        ("lab:std=2", "has no settings"),
        ("neighbourhood:blur=2", "no key 'blur'"),
        ("neighbourhood:std=", "nothing is no number"),
        ("neighbourhood:std=2,std=3", "no number"),
        ("neighbourhood:std=nan", "no number"),
        ("neighbourhood:std=-1", "no number"),
        ("neighbourhood:std=0", "at least 0.05 and at most 100"),
        ("neighbourhood:std=101", "out of range"),
    ],
)
def test_wrong_strings_are_explained(text, sentence):
    with pytest.raises(InputError, match=sentence):
        parse_discrepancy(text)
