"""A scan as planes, and planes as a scan."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given
from tests.imaging.affines import affine, affines

from veriscale.errors import InputError
from veriscale.imaging.geometry import finer, voxels_of, world_of
from veriscale.imaging.normalisation import HEADROOM, levels_of
from veriscale.imaging.orientation import Orientation, orientation_of
from veriscale.imaging.picture import content_hash
from veriscale.imaging.stored_numbers import StoredNumbers
from veriscale.imaging.volume import volume_of

STORED = StoredNumbers(np.dtype(np.int16), 0.5, -100)


@dataclass(frozen=True)
class Origin:
    """Of a file that does not exist."""

    orientation: Orientation
    slice_axis: int = 2
    stored: StoredNumbers = STORED
    step: float = 1.0


def numbers(shape=(4, 5, 6)):
    return np.random.default_rng(0).integers(0, 4000, shape, np.int16)


@pytest.fixture
def scan():
    matrix = affine(7)
    return volume_of(numbers(), matrix, Origin(orientation_of(matrix)), "scan")


@given(affines)
def test_every_number_is_found_at_its_place(matrix):
    given_numbers, origin = numbers(), Origin(orientation_of(matrix))
    volume = volume_of(given_numbers, matrix, origin, "scan")
    where = np.moveaxis(np.indices(given_numbers.shape), 0, -1)
    x, y, z = np.moveaxis(np.rint(voxels_of(volume.affine, world_of(matrix, where))).astype(int), -1, 0)
    np.testing.assert_allclose(volume.values()[x, y, z], given_numbers * 0.5 - 100, atol=1e-3)
    assert volume.spacing == pytest.approx(np.linalg.norm(volume.affine[:3, :3], axis=0))
    assert volume.grid.shape == volume.shape == volume.samples.shape


def test_samples_are_0_and_1_at_its_levels(scan):
    assert scan.samples.dtype == np.float32
    assert scan.samples.flags.c_contiguous
    assert scan.levels == levels_of(numbers() * 0.5 - 100, "scan")
    np.testing.assert_allclose(np.quantile(scan.samples, [0.001, 0.999]), [0, 1 / HEADROOM], atol=0.01)
    assert scan.samples.max() > 1 / HEADROOM  # and what lies beyond is there


def test_one_channel_or_copies_of_it(scan):
    assert scan.channels == 1
    for channels in (None, 1, 3):
        planes = scan.planes(channels)
        assert (planes.shape, planes.dtype) == ((channels or 1, *scan.shape), np.float32)
        assert (planes == scan.samples).all()
        planes[:] = 0  # a copy
    assert scan.samples.any()


def test_own_is_cut_to_the_shape_and_averaged(scan):
    planes = np.random.default_rng(1).random((3, 8, 10, 12), np.float32)
    own = scan.own(planes, (7, 10, 11))
    assert own.shape == (1, 7, 10, 11)
    np.testing.assert_allclose(own[0], planes[:, :7, :, :11].mean(0), atol=1e-7)
    assert np.array_equal(scan.own(planes[:1], (8, 10, 12)), planes[:1])


def test_like_keeps_levels_and_origin_on_another_grid(scan):
    planes = np.repeat(scan.planes(), 2, axis=1)
    fine = finer(scan.affine, (2, 1, 1))
    made = scan.like(planes, fine)
    assert (made.levels, made.origin, made.shape) == (scan.levels, scan.origin, planes.shape[1:])
    assert np.array_equal(made.affine, fine)
    assert np.array_equal(made.values()[::2], scan.values())
    assert np.array_equal(scan.like(scan.planes(), scan.affine).samples, scan.samples)


def test_relevelled_has_the_same_values_and_levels_of_its_own(scan):
    darker = replace(scan, samples=scan.samples / 3)
    found = darker.relevelled()
    np.testing.assert_allclose(found.values(), darker.values(), rtol=1e-5, atol=1e-4)
    assert found.levels == levels_of(darker.values(), "x")
    assert found.levels != darker.levels


def test_content_is_that_of_the_samples(scan):
    assert scan.content() == content_hash(scan.samples)
    assert scan.like(scan.planes() + 1, scan.affine).content() != scan.content()


def test_slices_are_a_canonical_axis():
    sagittal = np.array([[0, 0, 3.0, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]])
    for stored, canonical in ((0, 1), (1, 2), (2, 0)):
        origin = Origin(orientation_of(sagittal), stored)
        assert volume_of(numbers(), sagittal, origin, "scan").slice_axis == canonical


def test_a_scan_without_contrast_is_named():
    with pytest.raises(InputError, match="scan is -100 everywhere"):
        volume_of(numbers() * 0, np.eye(4), Origin(Orientation()), "scan")
