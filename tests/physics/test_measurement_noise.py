import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from veriscale.errors import InputError
from veriscale.physics.measurement_noise import (
    NOISES,
    ROUNDING,
    GaussianNoise,
    Noise,
    PoissonNoise,
    RicianNoise,
    parse_noise,
)

LEVELS = [0.0, 0.02, 0.1, 0.5, 1.0]
STRENGTHS = {"gaussian": [0.01, 0.3], "poisson": [2.0, 30.0, 1e5], "rician": [0.005, 0.05, 0.5]}
MODELS = [NOISES[name](value) for name in NOISES for value in STRENGTHS[name]]
DRAWS = 100_000


def deviations(noise: Noise, level: float, scale: float = 1.0) -> tuple[float, float]:
    """By how many standard errors mean and variance of draws miss the declared ones, the variance times `scale`."""
    clean = torch.full((DRAWS,), level, dtype=torch.float64)
    y = noise.sample(clean, np.random.default_rng(7))
    bias, variance = noise.bias(clean[:1]), noise.variance(clean[:1])
    mean = level + (0.0 if bias is None else float(bias))
    expected = scale * (noise.typical_std(clean[:1]) ** 2 if variance is None else float(variance))
    if not expected:  # nothing is random: no draw may differ
        return (0.0 if bool((y == mean).all()) else math.inf), 0.0
    squares = (y - mean).square()
    errors = float(y.std()) / math.sqrt(DRAWS), float(squares.std()) / math.sqrt(DRAWS)
    return abs(float(y.mean()) - mean) / errors[0], abs(float(squares.mean()) - expected) / errors[1]


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("noise", MODELS, ids=str)
def test_moments_are_the_declared_ones(noise, level):
    assert max(deviations(noise, level)) < 4.5


@pytest.mark.parametrize("noise", MODELS, ids=str)
def test_a_variance_wrong_by_a_tenth_is_caught(noise):
    assert deviations(noise, 0.5, 1.1)[1] > 4.5


@pytest.mark.parametrize("noise", MODELS, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_sample_keeps_shape_and_type_and_repeats_with_its_seed(noise, dtype):
    clean = torch.rand(2, 3, 5, 4, dtype=dtype)
    y = noise.sample(clean, np.random.default_rng(0))
    assert y.shape == clean.shape
    assert y.dtype == dtype
    assert torch.equal(y, noise.sample(clean, np.random.default_rng(0)))
    assert not torch.equal(y, noise.sample(clean, np.random.default_rng(1)))


@pytest.mark.parametrize("noise", MODELS, ids=str)
def test_typical_std_is_the_root_of_the_mean_variance(noise):
    clean = torch.rand(1, 1, 40, 40, dtype=torch.float64)
    variance = noise.variance(clean)
    expected = noise.std if variance is None else math.sqrt(float(variance.mean()))
    assert noise.typical_std(clean) == pytest.approx(expected)


def test_typical_std_is_never_below_rounding():
    black = torch.zeros(1, 1, 4, 4)
    for noise in (GaussianNoise(0), PoissonNoise(30), RicianNoise(1e-9)):
        assert noise.typical_std(black) == ROUNDING


def test_rician_far_above_its_noise_is_gaussian():
    noise = RicianNoise(0.01)
    clean = torch.linspace(0.5, 1, 6, dtype=torch.float64)
    torch.testing.assert_close(noise.variance(clean), torch.full_like(clean, 1e-4), rtol=5e-4, atol=0)
    torch.testing.assert_close(noise.bias(clean), 5e-5 / clean, rtol=5e-4, atol=0)


def test_rician_without_signal_is_rayleigh():
    noise, nothing = RicianNoise(0.2), torch.zeros(1, dtype=torch.float64)
    assert float(noise.bias(nothing)) == pytest.approx(0.2 * math.sqrt(math.pi / 2), rel=1e-12)
    assert float(noise.variance(nothing)) == pytest.approx(0.04 * (2 - math.pi / 2), rel=1e-12)


@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-7), (torch.float32, 2e-4)])
def test_rician_moments_agree_with_scipy(dtype, tolerance):
    """The two branches meet, and neither cancels, in single precision either."""
    stats = pytest.importorskip("scipy.stats")
    u = np.concatenate([np.linspace(0, 7.9, 30), np.linspace(7.95, 8.05, 11), [10, 20, 30]])
    noise, clean = RicianNoise(0.01), torch.from_numpy(0.01 * u).to(dtype)
    mean, variance = stats.rice.stats(u, moments="mv")
    np.testing.assert_allclose(noise.variance(clean), 1e-4 * variance, rtol=tolerance)
    np.testing.assert_allclose(noise.bias(clean), 0.01 * (mean - u), rtol=tolerance, atol=0.01 * tolerance)


def test_rician_is_finite_and_monotone_at_any_ratio():
    clean = torch.logspace(-6, 0, 400)
    noise = RicianNoise(1e-6)
    assert bool((noise.variance(clean).diff() >= -1e-17).all())
    assert bool((noise.bias(clean).diff() <= 1e-12).all())


@given(st.sampled_from(sorted(NOISES)), st.floats(0, 1))
def test_a_string_gives_the_model_back(name, value):
    for number in (value, 1e6 * value):
        try:
            noise = NOISES[name](number)
        except InputError:
            continue
        assert parse_noise(str(noise)) == noise


@pytest.mark.parametrize(
    "text, noise, canonical",
    [
        ("0.05", GaussianNoise(0.05), "gaussian:0.05"),
        ("gaussian:0.05", GaussianNoise(0.05), "gaussian:0.05"),
        ("gaussian: std = 0.05", GaussianNoise(0.05), "gaussian:0.05"),
        ("0", GaussianNoise(0.0), "gaussian:0"),
        ("poisson:peak=30", PoissonNoise(30), "poisson:peak=30"),
        ("poisson:30", PoissonNoise(30), "poisson:peak=30"),
        ("rician:0.05", RicianNoise(0.05), "rician:0.05"),
        ("rician:std=0.05", RicianNoise(0.05), "rician:0.05"),
    ],
)
def test_strings(text, noise, canonical):
    assert parse_noise(text) == noise
    assert str(noise) == canonical


@pytest.mark.parametrize(
    "text, says",
    [
        ("-1", "not a standard deviation in [0, 1]"),
        ("2", "not a standard deviation in [0, 1]"),
        ("nan", "not a standard deviation in [0, 1]"),
        ("inf", "not a standard deviation in [0, 1]"),
        ("", "not a standard deviation in [0, 1]"),
        ("0,05", "not a standard deviation in [0, 1]"),
        ("gaussian", "such as 0.02 or gaussian:0.02"),
        ("rician:0", "not a standard deviation in (0, 1]"),
        ("rician:1.5", "not a standard deviation in (0, 1]"),
        ("poisson:0", "not a peak count in (0, 1e6]"),
        ("poisson:-3", "not a peak count in (0, 1e6]"),
        ("poisson:2e6", "not a peak count in (0, 1e6]"),
        ("poisson:peak=", "such as poisson:peak=30"),
        ("poisson:peak=3,seed=1", "not a peak count in (0, 1e6]"),
        ("poison:30", "did you mean 'poisson'? known: gaussian, poisson, rician"),
        ("gausian", "did you mean 'gaussian'? known: gaussian, poisson, rician"),
        ("poisson:std=3", "Unknown key 'std' in noise 'poisson:std=3'; known: peak"),
    ],
)
def test_bad_strings(text, says):
    with pytest.raises(InputError) as error:
        parse_noise(text)
    assert says in str(error.value)
    assert str(error.value).endswith(".")


@pytest.mark.parametrize("clean", [0.0, 0.02, 0.5, 0.97, 1.0])
def test_power_of_clipped_noise_is_that_of_draws(clean):
    noise = GaussianNoise(0.1)
    y = np.clip(clean + 0.1 * np.random.default_rng(0).standard_normal(200_000), 0, 1)
    expected = float(noise.stored_power(torch.tensor([clean], dtype=torch.float64)))
    assert np.square(y - clean).mean() == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("std", [0.0, 0.001, 0.003])
def test_rounding_adds_to_the_power_of_little_noise(std):
    """A file's noise is its own and that of rounding; for none it is rounding's alone."""
    clean = np.random.default_rng(1).uniform(0.3, 0.7, 200_000)
    y = np.rint((clean + std * np.random.default_rng(0).standard_normal(clean.shape)) * 255) / 255
    expected = GaussianNoise(std).stored_power(torch.tensor(clean)).mean()
    assert np.square(y - clean).mean() == pytest.approx(float(expected), rel=0.02)
