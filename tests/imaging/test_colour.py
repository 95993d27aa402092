"""Colour: luma as the tables use it, channel counts, alpha."""

import numpy as np
import pytest
from skimage.color import rgb2ycbcr

from veriscale.imaging.colour import as_channels, luma, premultiplied, unpremultiplied

RGB = np.random.default_rng(0).random((11, 7, 3))


def test_luma_is_matlabs():
    np.testing.assert_allclose(luma(RGB) * 255, rgb2ycbcr(RGB)[..., 0], atol=1e-9)
    assert luma(np.zeros(3)) == pytest.approx(16 / 255)
    assert luma(np.ones(3)) == pytest.approx(235 / 255)
    full_range = RGB @ [0.299, 0.587, 0.114]
    assert np.abs(luma(RGB) - full_range).max() > 0.01  # negative control: the other luma is told apart


def test_luma_of_grey_is_that_of_equal_channels():
    np.testing.assert_allclose(luma(RGB[..., :1]), luma(np.repeat(RGB[..., :1], 3, -1)), atol=1e-12)
    assert luma(RGB[..., :1]).shape == (11, 7)
    assert luma(RGB.astype(np.float32)).dtype == np.float32


def test_channels_there_and_back():
    grey = RGB[..., :1]
    np.testing.assert_allclose(as_channels(as_channels(grey, 3), 1), grey, atol=1e-12)
    assert as_channels(RGB, 3) is RGB
    assert as_channels(grey, 3).shape == (11, 7, 3)
    np.testing.assert_allclose(as_channels(np.eye(3)[None], 1).ravel(), [0.299, 0.587, 0.114])


def test_premultiplying_is_undone_where_something_is_seen():
    alpha = np.random.default_rng(1).random((11, 7))
    alpha[0, :3] = 0, 1, 1 / 65535
    back = unpremultiplied(premultiplied(RGB, alpha), alpha)
    seen = alpha > 0
    np.testing.assert_allclose(back[seen], RGB[seen], rtol=1e-9)
    assert not back[~seen].any()
    assert premultiplied(RGB, None) is RGB
    assert unpremultiplied(RGB, None) is RGB


def test_hidden_colours_do_not_bleed_into_an_average():
    colour = np.array([[[1.0, 0, 0], [0, 1, 0]]])  # red seen, green hidden
    alpha = np.array([[1.0, 0]])
    mean = unpremultiplied(premultiplied(colour, alpha).mean(1), alpha.mean(1))
    np.testing.assert_allclose(mean, [[1, 0, 0]])
    assert colour.mean(1)[0, 1] == 0.5  # negative control: the plain average does bleed
