"""The colours of a map mean what its legend says."""

import numpy as np
import pytest

from veriscale.imaging.colour import luma
from veriscale.report.colourmap import palette, scale_of, to_index
from veriscale.report.embedding import reduce_map
from veriscale.report.view import map_view, over_channels


def test_brighter_is_more():
    lightness = luma(palette() / 255)
    assert (np.diff(lightness) > 0).all()
    assert lightness[-1] - lightness[0] > 0.7
    assert np.diff(lightness).max() < 4 * np.diff(lightness).mean()  # no step that looks like an edge


@pytest.mark.parametrize("size", [1e-5, 0.0012, 0.02, 0.31, 1.0])
def test_the_top_is_round_and_leaves_few_above(size):
    values = size * np.random.default_rng(0).random((50, 60))
    scale = scale_of(values)
    assert scale.above <= 0.01
    assert np.isclose(scale.above, np.mean(values > scale.top))
    assert float(f"{scale.top:.1g}") == pytest.approx(scale.top)
    assert scale.top <= max(2 * size, 1e-3)


def test_first_and_last_colour():
    values = np.array([[0.0, 0.1, 0.2, 7.0]])
    scale = scale_of(np.repeat([[0.2]], 100, axis=0))
    assert to_index(values, scale).tolist() == [[0, 128, 255, 255]]


def test_outliers_are_said():
    values = np.full((100, 100), 0.1)
    assert map_view("spread", "Spread", "", values).legend.above == ""
    values[0, :50] = 0.9
    assert "0.5\N{NO-BREAK SPACE}% of the pixels lie above 10" in map_view("spread", "Spread", "", values).legend.above


def test_large_maps_are_averaged_and_it_is_said():
    values = np.tile([[0.0, 0.2], [0.2, 0.0]], (1000, 900))
    reduced, factor = reduce_map(values)
    assert (factor, reduced.shape) == (2, (1000, 900))
    assert np.allclose(reduced, 0.1)
    assert "1/2 of its size" in map_view("spread", "Spread", "", values).caption


def test_channels_are_joined_by_their_root_mean_square():
    assert over_channels(np.array([[[3.0, -4.0]]])) == pytest.approx(12.5**0.5)
    assert over_channels(np.array([[-3.0]])).tolist() == [[3.0]]
