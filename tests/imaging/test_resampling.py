"""One volume on another's voxels: what is at a place is there, and nothing is made up where nothing is known."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.imaging.affines import affine
from tests.imaging.test_volume import Origin

from veriscale.imaging.geometry import Grid, finer, voxels_of, world_of
from veriscale.imaging.normalisation import Levels
from veriscale.imaging.orientation import Orientation
from veriscale.imaging.resampling import boundaries_on, field_of, resampled
from veriscale.imaging.volume import Volume


def volume(samples, matrix) -> Volume:
    return Volume(np.asarray(samples, np.float32), matrix, Levels(0, 1), Origin(Orientation()))


def noise(shape, seed=0):
    return np.random.default_rng(seed).random(shape, np.float32)


def places(shape):
    return np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)


@given(st.integers(0, 1000))
@settings(max_examples=25)
def test_on_its_own_voxels_it_is_itself_bit_for_bit_but_for_what_nobody_knows(seed):
    samples = noise((5, 6, 4), seed)
    samples[1:3, 2, :2] = np.nan
    given = volume(samples, affine(seed))
    rounded = replace(given, affine=given.affine.astype(np.float32).astype(np.float64))
    np.testing.assert_array_equal(resampled(given, given.grid), samples)
    np.testing.assert_array_equal(resampled(rounded, given.grid), samples)


@given(st.integers(0, 1000), st.integers(0, 1000))
@settings(max_examples=25)
def test_what_is_linear_in_the_world_is_found_at_every_place_inside_and_nothing_outside(seed, other):
    """Of any two affines: finer, coarser, oblique to each other."""
    matrix, shape = affine(seed), (24, 20, 22)
    slope = np.linalg.inv(matrix[:3, :3]).T @ (0.01, -0.02, 0.015)

    def linear(m, s):
        return (world_of(m, places(s)) - matrix[:3, 3]) @ slope

    to = affine(other)
    to[:3, 3] += world_of(matrix, (11, 9, 10)) - world_of(to, (4, 4, 4))  # the middles lie on each other
    grid = Grid(to, (9, 9, 9))
    found = resampled(volume(linear(matrix, shape), matrix), grid)
    at = voxels_of(matrix, world_of(to, places(grid.shape)))
    size = np.array(shape)
    outside = ((at < -0.51) | (at > size - 0.49)).any(-1)
    assert np.isnan(found[outside]).all()
    inside = ((at > -0.49) & (at < size - 0.51)).all(-1)
    assert np.isfinite(found[inside]).all()
    reach = 4.5 * np.sqrt(np.square(np.linalg.inv(matrix[:3, :3]) @ to[:3, :3]).sum(1) / 12) + 1
    deep = ((at > reach) & (at < size - 1 - reach)).all(-1)  # where the Gaussian meets no edge
    np.testing.assert_allclose(found[deep], linear(to, grid.shape)[deep], atol=2e-4)


def test_a_coarser_grid_has_the_mean_about_its_voxels():
    """Alternating values would be taken one by one, and come out as one of them."""
    samples = np.broadcast_to((np.arange(32) % 2).astype(np.float32)[:, None, None], (32, 8, 8))
    given = volume(samples, np.eye(4))
    coarse = resampled(given, Grid(finer(np.eye(4), (0.25, 1, 1)), (8, 8, 8)))
    assert np.abs(coarse[1:-1] - 0.5).max() < 0.05
    fine = resampled(given, Grid(finer(np.eye(4), (2, 1, 1)), (64, 8, 8)))
    assert fine.min() < 0.26 < 0.74 < fine.max()


def test_what_is_partly_unknown_is_unknown():
    samples = noise((12, 6, 6))
    samples[6:] = np.nan
    given = volume(samples, np.eye(4))
    fine = resampled(given, Grid(finer(np.eye(4), (2, 1, 1)), (24, 6, 6)))
    assert np.isfinite(fine[:11]).all()
    assert np.isnan(fine[11:]).all()


def test_the_field_of_view_reaches_to_the_voxels_edges():
    shape = (4, 3, 5)
    grid = Grid(finer(np.eye(4), (4, 4, 4)), (16, 12, 20))
    assert field_of(volume(noise(shape), np.eye(4)), grid).all()
    moved = np.eye(4)
    moved[0, 3] = 0.6
    assert not field_of(volume(noise(shape), moved), grid)[:2].any()


def test_boundaries_of_labels_do_not_depend_on_their_numbers():
    labels = np.zeros((8, 8, 8))
    labels[2:6, 2:6, 2:6] = 1
    found = boundaries_on(volume(labels, np.eye(4)), Grid(np.eye(4), (8, 8, 8)))
    assert set(np.unique(found)) == {0, 1}
    assert found[1, 3, 3] == found[2, 3, 3] == 1
    assert found[3, 3, 3] == found[0, 0, 0] == 0
    np.testing.assert_array_equal(found, boundaries_on(volume(7 - 5 * labels, np.eye(4)), Grid(np.eye(4), (8, 8, 8))))
    far = Grid(affine(3), (4, 4, 4))
    assert np.isnan(boundaries_on(volume(labels, np.eye(4)), far)).all()


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 0, 2)])
def test_axes_in_another_order_are_brought_back(order):
    samples, matrix = noise((6, 7, 8)), np.eye(4)
    matrix[:3, :3] = matrix[:3, order]
    x, y, z = (samples.shape[k] for k in order)
    found = resampled(volume(samples, np.eye(4)), Grid(matrix, (x, y, z)))
    np.testing.assert_array_equal(found, samples.transpose(order))
