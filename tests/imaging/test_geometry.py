"""Grids in space: a factor keeps the field of view, a spacing is exact and centred."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.imaging.affines import affine, affines, shapes

from veriscale.errors import InputError
from veriscale.imaging.geometry import (
    Grid,
    checked_affine,
    corners_of,
    finer,
    respaced,
    shear_of,
    spacing_of,
    voxels_of,
    world_of,
)
from veriscale.physics.slice_profile import SliceProfile

factors = st.tuples(*[st.sampled_from([1.0, 1.5, 2.0, 3.0, 4.0, 0.5, 2.7])] * 3)
voxels = st.lists(st.tuples(*[st.integers(-3, 300)] * 3), min_size=1, max_size=4)


def middle(grid: Grid) -> np.ndarray:
    return world_of(grid.affine, (np.array(grid.shape) - 1) / 2)


# ---- a factor


@given(affines, factors, voxels)
def test_a_fine_voxel_sits_at_i_plus_half_over_factor_minus_half(coarse, factor, where):
    there = (np.array(where) + 0.5) / np.array(factor) - 0.5
    np.testing.assert_allclose(world_of(finer(coarse, factor), where), world_of(coarse, there), atol=1e-9, rtol=0)


@given(affines, shapes, st.tuples(*[st.integers(1, 4)] * 3))
def test_a_factor_keeps_the_field_of_view(coarse, shape, factor):
    fine = finer(coarse, factor)
    np.testing.assert_allclose(spacing_of(fine) * factor, spacing_of(coarse), rtol=1e-12)
    for end in (np.full(3, -0.5), np.array(shape) - 0.5):
        outer = (end + 0.5) * factor - 0.5
        np.testing.assert_allclose(world_of(fine, outer), world_of(coarse, end), atol=1e-9, rtol=0)


@given(affines, st.sampled_from([2.0, 4.0, 2.5]), st.integers(0, 2))
def test_thick_slices_are_undone(fine, factor, axis):
    step = factor * spacing_of(fine)[axis]
    thick = SliceProfile(step, step, axis).bind(fine).moved(fine)
    back = finer(thick, [factor if k == axis else 1 for k in range(3)])
    np.testing.assert_allclose(back, fine, atol=1e-9, rtol=0)


# ---- a spacing


@given(affines, shapes, st.tuples(*[st.one_of(st.none(), st.floats(0.05, 1))] * 3))
def test_a_spacing_is_exact_and_its_field_of_view_centred(coarse, shape, parts):
    old = Grid(coarse, shape)
    asked = [None if part is None else part * size for part, size in zip(parts, spacing_of(coarse), strict=True)]
    new = respaced(old, asked)
    np.testing.assert_allclose(middle(new), middle(old), atol=1e-9, rtol=0)
    for axis, (part, wanted) in enumerate(zip(parts, asked, strict=True)):
        if part is None or part > 1 - 1e-4:
            assert new.shape[axis] == shape[axis]
            np.testing.assert_array_equal(new.affine[:3, axis], coarse[:3, axis])
            continue
        assert spacing_of(new.affine)[axis] == pytest.approx(wanted, rel=1e-12)
        assert abs(new.shape[axis] - shape[axis] / part) <= 0.5 + 1e-9
        direction = new.affine[:3, axis] / wanted - coarse[:3, axis] / spacing_of(coarse)[axis]
        np.testing.assert_allclose(direction, 0, atol=1e-12)


def test_where_voxels_divide_a_spacing_is_a_factor():
    old = Grid(affine(3), (4, 5, 6))
    new = respaced(old, spacing_of(old.affine) / (2, 1, 4))
    assert new.shape == (8, 5, 24)
    np.testing.assert_allclose(new.affine, finer(old.affine, (2, 1, 4)), atol=1e-9)


def test_its_own_spacing_as_float32_writes_it_keeps_an_axis():
    old = Grid(np.diag([1.00005, 0.99995, 2, 1]), (4, 5, 6))
    new = respaced(old, (1, 1, 2.0001))
    assert new.shape == old.shape
    np.testing.assert_array_equal(new.affine, old.affine)


@pytest.mark.parametrize(
    "asked, sentence",
    [
        ((1, 1, 4), "spacing 4 is coarser than the scan's 3 mm from left to right; give at most 3 there, or - to"),
        ((2, 1, 1), "spacing 2 is coarser than the scan's 1 mm from back to front"),
        ((0, 1, 1), "spacing 0 is no distance; give millimetres above 0"),
        ((1, -1, 1), "spacing -1 is no distance"),
        ((1, float("nan"), 1), "spacing nan is no distance"),
        ((1, float("inf"), 1), "spacing inf is no distance"),
        ((1, 1), "spacing has 2 numbers; give three"),
    ],
)
def test_spacings_that_are_none_are_refused(asked, sentence):
    grid = Grid(np.array([[0, 0, -3.0, 0], [1, 0, 0, 0], [0, 2, 0, 0], [0, 0, 0, 1]]), (4, 4, 4))
    with pytest.raises(InputError) as error:
        respaced(grid, asked)
    assert sentence in str(error.value)


# ---- affines


@given(affines, voxels)
def test_world_and_voxels_undo_each_other(matrix, where):
    np.testing.assert_allclose(voxels_of(matrix, world_of(matrix, where)), where, atol=1e-8)


def test_shear_is_the_cosine_between_axes():
    assert shear_of(affine(1)) < 1e-12
    slanted = np.eye(4)
    slanted[:3, 1] = 2 * np.array([np.sin(0.3), np.cos(0.3), 0])
    assert shear_of(slanted) == pytest.approx(np.sin(0.3))


def test_corners_are_the_outermost_voxels():
    corners = corners_of((2, 1, 4))
    assert {tuple(c) for c in corners} == {(x, 0, z) for x in (0, 1) for z in (0, 3)}
    assert corners.shape == (8, 3)


def test_a_checked_affine_is_a_copy():
    given = np.eye(4, dtype=np.float32)
    checked = checked_affine(given, "a")
    assert checked.dtype == np.float64
    checked[0, 3] = 5
    assert given[0, 3] == 0


@pytest.mark.parametrize(
    "matrix, sentence",
    [
        (None, "scan does not say where its voxels lie"),
        ("abc", "is no matrix of numbers"),
        (np.eye(3), "is no (4, 4) matrix"),
        (np.vstack([np.eye(4)[:3], [0, 0, 1, 1]]), "with a last row of 0, 0, 0, 1"),
        (np.diag([1, np.nan, 1, 1]), "holds NaN or infinite values"),
        (np.diag([1, 0, 1, 1]), "is singular"),
        (np.array([[1, 2, 0, 0], [1, 2, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]), "is singular"),
        (np.diag([1e200, 1, 1, 1]), "is singular"),
        (np.float32([[0.1, 0.3, 0.4, 0], [0.7, 0.1, 0.8, 0], [0.2, 0.9, 1.1, 0], [0, 0, 0, 1]]), "is singular"),
    ],
)
def test_affines_that_place_nothing_are_refused(matrix, sentence):
    with pytest.raises(InputError) as error:
        checked_affine(matrix, "scan")
    assert sentence in str(error.value)


def test_thin_voxels_are_no_singular_ones():
    checked_affine(np.diag([0.01, 0.01, 50, 1]), "scan")
