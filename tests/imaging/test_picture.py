"""What photographs and scans have in common; a hash of samples: two pictures do not share their noise."""

import numpy as np
import pytest

from veriscale.imaging.normalisation import Levels
from veriscale.imaging.photo import Photo
from veriscale.imaging.picture import content_hash
from veriscale.imaging.volume import Volume


@pytest.fixture
def samples():
    return np.random.default_rng(0).random((4, 6, 3), np.float32)


def test_equal_samples_have_one_hash_however_they_lie_in_memory(samples):
    large = np.zeros((4, 12, 3), np.float32)
    large[:, ::2] = samples
    for same in (samples.copy(), np.asfortranarray(samples), large[:, ::2], samples[::-1][::-1]):
        assert content_hash(same) == content_hash(samples)
    assert len(content_hash(samples)) == 32


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x + np.float32(1e-6),
        lambda x: x.reshape(6, 4, 3),
        lambda x: x.reshape(4, 18),
        lambda x: x[::-1],
        lambda x: x.astype(np.float64),
        lambda x: x.view(np.int32),
        lambda x: x[:, :-1],
    ],
)
def test_other_samples_shapes_and_types_have_others(samples, change):
    assert content_hash(change(samples)) != content_hash(samples)


def test_a_photographs_content_is_that_of_its_pixels_alone(samples):
    photo = Photo(samples)
    assert photo.content() == content_hash(samples)
    alpha = np.ones((4, 6), np.float32)
    assert Photo(samples, alpha, 16, b"profile", (72.0, 72.0), "tiff").content() == photo.content()
    assert photo.with_pixels(samples[::-1]).content() != photo.content()


PICTURES = {
    "grey": (Photo(np.random.default_rng(1).random((6, 8, 1), np.float32)), (6, 8), (6, 8)),
    "colour": (Photo(np.random.default_rng(1).random((6, 8, 3), np.float32)), (6, 8), (6, 8)),
    "scan": (
        Volume(np.random.default_rng(1).random((6, 8, 5), np.float32), np.eye(4), Levels(0, 9), None),
        (6, 8, 5),
        np.eye(4),
    ),
}
"""A picture, its spatial shape, and the place that it has itself."""


@pytest.mark.parametrize(("picture", "shape", "place"), PICTURES.values(), ids=PICTURES)
def test_planes_lead_back_to_the_picture(picture, shape, place):
    assert picture.affine.shape == (4, 4)
    for channels in {None, picture.channels, 3}:
        planes = picture.planes(channels)
        assert (planes.shape, planes.dtype) == ((channels or picture.channels, *shape), np.float32)
        larger = np.pad(planes, [(0, 0), *[(0, 2)] * len(shape)], constant_values=7)
        np.testing.assert_allclose(picture.own(larger, shape), picture.planes(), atol=1e-6)
        again = picture.like(planes, place)
        assert type(again) is type(picture)
        np.testing.assert_allclose(again.planes(), picture.planes(), atol=1e-6)
        assert np.array_equal(again.affine, picture.affine)
    assert picture.like(picture.planes(), place).content() == picture.content()
    assert picture.like(picture.planes() + 1, place).content() != picture.content()
