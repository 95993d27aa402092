"""Streamed moments are those of the whole."""

import numpy as np
import pytest

from veriscale.errors import InputError
from veriscale.imaging.moments import moments


@pytest.mark.parametrize("shape", [(1,), (5, 7), (40, 300, 3)])
@pytest.mark.parametrize("count", [1, 2, 9])
def test_moments_are_those_of_all_at_once(shape, count):
    arrays = np.random.default_rng(0).random((count, *shape), np.float32)
    n, mean, squares = moments(iter(arrays))
    assert (n, mean.shape, squares.dtype) == (count, shape, np.float64)
    np.testing.assert_allclose(mean, arrays.mean(axis=0, dtype=np.float64), rtol=1e-12)
    np.testing.assert_allclose(squares, arrays.astype(np.float64).var(axis=0) * count, atol=1e-12)


def test_of_nothing_there_is_none():
    assert moments([])[0] == 0


def test_shapes_must_agree():
    with pytest.raises(InputError, match=r"one shape, got \(2, 3\) and \(3, 2\)"):
        moments([np.zeros((2, 3)), np.zeros((3, 2))])
