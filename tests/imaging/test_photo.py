"""A photograph as planes, and planes as a photograph: what must survive survives."""

import numpy as np
import pytest

from veriscale.errors import InputError
from veriscale.imaging.photo import Photo
from veriscale.imaging.resize import resize

LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def picture(channels=3, alpha=False):
    rng = np.random.default_rng(0)
    transparency = rng.random((5, 7), np.float32) if alpha else None
    return Photo(rng.random((5, 7, channels), np.float32), transparency, 16, b"profile", (300.0, 150.0), "tiff")


@pytest.fixture
def photo():
    return picture()


def survived(made, of, dpi):
    return (made.bit_depth, made.icc, made.format, made.dpi) == (of.bit_depth, of.icc, of.format, dpi)


# ---- planes


@pytest.mark.parametrize("channels", [1, 3])
def test_planes_are_the_samples_channels_first(channels):
    given = picture(channels)
    planes = given.planes()
    assert (planes.shape, planes.dtype, planes.flags.c_contiguous) == ((channels, 5, 7), np.float32, True)
    assert np.array_equal(planes.transpose(1, 2, 0), given.pixels)
    assert np.array_equal(given.planes(channels), planes)


def test_planes_of_another_number_are_copies_or_luma(photo):
    three = picture(1).planes(3)
    assert three.shape == (3, 5, 7)
    assert (three == picture(1).pixels[..., 0]).all()
    one = photo.planes(1)
    assert one.shape == (1, 5, 7)
    np.testing.assert_allclose(one[0], photo.pixels @ LUMA, atol=1e-6)


def test_hidden_colours_are_in_no_plane():
    given = picture(alpha=True)
    np.testing.assert_allclose(given.planes(), (given.pixels * given.alpha[..., None]).transpose(2, 0, 1), atol=1e-7)
    given.alpha[2, 3] = 0
    other = given.with_pixels(given.pixels.copy(), given.alpha)
    other.pixels[2, 3] = (9, 9, 9)
    assert np.array_equal(other.planes(1), given.planes(1))


# ---- own


def test_own_is_cut_to_the_shape_with_the_pictures_channels(photo):
    planes = np.random.default_rng(1).random((3, 12, 16), np.float32)
    assert np.array_equal(photo.own(planes, (10, 14)), planes[:, :10, :14])
    grey = picture(1).own(planes, (10, 14))
    assert grey.shape == (1, 10, 14)
    np.testing.assert_allclose(grey[0], np.tensordot(LUMA, planes[:, :10, :14], 1), atol=1e-6)
    colour = photo.own(planes[:1], (10, 14))
    assert colour.shape == (3, 10, 14)
    assert (colour == planes[:1, :10, :14]).all()


# ---- like


@pytest.mark.parametrize("channels", [1, 3])
def test_its_own_planes_give_a_picture_back(channels):
    given = picture(channels, alpha=True)
    back = given.like(given.planes(), (5, 7))
    np.testing.assert_allclose(back.pixels, given.pixels, atol=1e-5)
    np.testing.assert_allclose(back.alpha, given.alpha, atol=1e-6)
    assert survived(back, given, (300.0, 150.0))


def test_a_finer_picture_has_more_pixels_per_inch_over_the_same_extent(photo):
    planes = np.random.default_rng(1).random((3, 24, 32), np.float32)
    made = photo.like(planes, (20, 14))
    assert np.array_equal(made.pixels, planes[:, :20, :14].transpose(1, 2, 0))
    assert survived(made, photo, (600.0, 600.0))
    assert made.alpha is None
    unknown = Photo(photo.pixels)
    assert unknown.like(planes, (20, 14)).dpi is None


def test_transparency_is_resized_and_taken_out_of_the_colours():
    given = picture(alpha=True)
    given.alpha[:] = np.linspace(0, 1, 7)
    truth = np.random.default_rng(1).random((10, 14, 3), np.float32)
    alpha = resize(given.alpha, 10, 14).clip(0, 1)
    made = given.like((truth * alpha[..., None]).transpose(2, 0, 1), (10, 14))
    np.testing.assert_array_equal(made.alpha, alpha)
    seen = alpha > 0.01
    np.testing.assert_allclose(made.pixels[seen], truth[seen], atol=1e-4)
    assert (made.pixels[alpha == 0] == 0).all()


# ---- cut


def test_a_part_is_x_y_width_height(photo):
    part = photo.cut("1,2,4,3", "a.png")
    assert np.array_equal(part.pixels, photo.pixels[2:5, 1:5])
    assert part.alpha is None
    assert survived(part, photo, (300.0, 150.0))
    assert np.array_equal(photo.cut("0,0,7,5", "a.png").pixels, photo.pixels)


def test_transparency_is_cut_with_the_picture():
    given = picture(alpha=True)
    assert np.array_equal(given.cut("1,2,4,3", "a.png").alpha, given.alpha[2:5, 1:5])


@pytest.mark.parametrize(
    "part", ["", "1,2,3", "1,2,3,4,5", "4,0,4,5", "0,3,7,3", "0,0,0,5", "0,0,7,0", "-1,0,2,2", "1.5,0,2,2", "a,b,c,d"]
)
def test_a_part_that_is_none_is_named_with_the_picture(photo, part):
    with pytest.raises(InputError) as error:
        photo.cut(part, "a.png")
    assert str(error.value) == f"crop {part} is not X,Y,W,H inside the 7×5 pixels of a.png."
