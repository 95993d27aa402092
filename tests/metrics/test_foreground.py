"""What of a scan counts as the body."""

import numpy as np

from veriscale.metrics.foreground import foreground


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
