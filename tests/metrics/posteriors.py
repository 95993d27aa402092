"""A posterior that is known, and samplers of it: exact, too tame, too wild, collapsed."""

import numpy as np

PLACES = 60_000


def gaussian(draws, spread=1.0, seed=0, shift=0.0):
    """Draws and a truth that share mean and std, which differ from place to place; spread = 1 is the exact posterior.

    Returns:
        (K, N) draws, (N,) truth, (N,) std of the posterior.
    """
    rng = np.random.default_rng(seed)
    std = 0.05 * np.exp(0.7 * rng.standard_normal(PLACES))
    mean = rng.uniform(size=PLACES)
    truth = mean + std * rng.standard_normal(PLACES)
    return mean + std * (shift + spread * rng.standard_normal((draws, PLACES))), truth, std


def collapsed(draws):
    """The same draw again and again."""
    found, truth, _ = gaussian(draws)
    return np.repeat(found[:1], draws, axis=0), truth
