"""What of a scan counts as the body."""

import numpy as np
import pytest

from veriscale.errors import InputError
from veriscale.imaging.geometry import Grid, finer
from veriscale.imaging.normalisation import Levels
from veriscale.imaging.volume import Volume
from veriscale.metrics.foreground import foreground, foreground_on


def head(air=0.0, seed=0):
    """A ball of 0.3 to 1 with a hollow that is dark inside, in air with noise."""
    rng = np.random.default_rng(seed)
    places = np.stack(np.meshgrid(*[np.arange(24)] * 3, indexing="ij"), -1) - 11.5
    radius = np.linalg.norm(places, axis=-1)
    values = np.where(radius < 9, rng.uniform(0.3, 1, radius.shape), rng.uniform(0, air, radius.shape))
    return np.where(radius < 3, 0.0, values).astype(np.float32), radius < 9


def test_the_body_and_what_it_encloses():
    for air in (0.0, 0.045):
        values, body = head(air)
        assert np.array_equal(foreground(values), body)


def test_what_is_open_to_the_air_is_air():
    values, body = head()
    values[11:13, 11:13, :] = 0  # a canal from the hollow to both ends
    assert not foreground(values)[11, 11, 11]
    assert foreground(values).sum() < body.sum() - 100


def measured(values, affine):
    return Volume(values, affine, Levels(0.0, 1.0), origin=None)


def test_of_a_measurement_on_the_truths_voxels_each_is_as_the_measured_voxel_that_it_lies_in():
    values, body = head()
    affine = np.array([[0, -2.0, 0, 5], [1.5, 0, 0, 7], [0, 0, 3.0, -4], [0, 0, 0, 1]])
    fine = Grid(finer(affine, (2, 4, 1)), (48, 96, 24))
    assert np.array_equal(foreground_on(fine, measured(values, affine)), body.repeat(2, 0).repeat(4, 1))
    inner = Grid(affine @ np.array([[1, 0, 0, 4], [0, 1, 0, 5], [0, 0, 1, 6], [0, 0, 0, 1.0]]), (12, 12, 12))
    assert np.array_equal(foreground_on(inner, measured(values, affine)), body[4:16, 5:17, 6:18])


def test_an_empty_one_is_refused():
    values, _ = head()
    with pytest.raises(InputError, match=r"the foreground is empty: no voxel lies above 0\.05"):
        foreground(0.04 * values)
    corner = Grid(np.eye(4), (2, 2, 2))
    with pytest.raises(InputError, match="the foreground is empty"):
        foreground_on(corner, measured(values, np.eye(4)))
