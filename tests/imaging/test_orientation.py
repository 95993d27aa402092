"""Canonical inside, the user's outside."""

import nibabel
import numpy as np
import pytest
from hypothesis import given
from tests.imaging.affines import affine, affines, shapes

from veriscale.imaging.geometry import world_of
from veriscale.imaging.orientation import Orientation, orientation_of

LAS = np.diag([-2.0, 2, 2, 1])


@given(affines, shapes)
def test_samples_and_affine_come_back(stored, shape):
    orientation = orientation_of(stored)
    samples = np.random.default_rng(0).integers(0, 1000, shape)
    inside = orientation.inside(samples)
    np.testing.assert_array_equal(orientation.outside(inside), samples)
    assert orientation.values_inside(shape) == inside.shape
    assert orientation.values_outside(inside.shape) == shape
    canonical = orientation.affine_inside(stored, shape)
    np.testing.assert_allclose(orientation.affine_outside(canonical, inside.shape), stored, atol=1e-10, rtol=0)


@given(affines, shapes)
def test_a_sample_stays_where_it_is_in_the_world(stored, shape):
    orientation = orientation_of(stored)
    where = np.moveaxis(np.indices(shape), 0, -1)
    world = world_of(stored, where)
    inside = np.stack([orientation.inside(world[..., k]) for k in range(3)], -1)
    canonical = orientation.affine_inside(stored, shape)
    found = world_of(canonical, np.moveaxis(np.indices(inside.shape[:3]), 0, -1))
    np.testing.assert_allclose(found, inside, atol=1e-9, rtol=0)


@given(affines, shapes)
def test_canonical_axes_run_to_the_right_the_front_and_the_head(stored, shape):
    canonical = orientation_of(stored).affine_inside(stored, shape)
    cosines = canonical[:3, :3] / np.linalg.norm(canonical[:3, :3], axis=0)
    assert (np.diag(cosines) >= 0).all()
    assert orientation_of(canonical) == Orientation()


def clear(seed):
    """Whether every axis is nearest to a direction without doubt."""
    directions = np.abs(affine(seed)[:3, :3] / np.linalg.norm(affine(seed)[:3, :3], axis=0))
    return directions.max(axis=0).min() > 0.72


@pytest.mark.parametrize("seed", [seed for seed in range(40) if clear(seed)])
def test_as_nibabel_finds_it(seed):
    stored = affine(seed)
    samples = np.random.default_rng(seed).random((2, 3, 4))
    theirs = nibabel.as_closest_canonical(nibabel.Nifti1Image(samples, stored))
    orientation = orientation_of(stored)
    np.testing.assert_array_equal(orientation.inside(samples), theirs.dataobj)
    np.testing.assert_allclose(orientation.affine_inside(stored, samples.shape), theirs.affine, atol=1e-9)
    assert orientation.letters == "".join(nibabel.aff2axcodes(stored))


def test_letters_name_the_stored_axes():
    assert orientation_of(LAS).letters == "LAS"
    assert orientation_of(np.array([[0, 0, 2.0, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]])).letters == "PIR"
    assert Orientation().letters == "RAS"
