"""The oracles against Tweedie's formulas and Bayes' rule, which need no sampler."""

import pytest
import torch
from torch.func import jacrev, vmap

from veriscale.diffusion.oracles import Gaussian, Mixture, coloured_spectrum


def double(*values):
    return torch.tensor(values, dtype=torch.float64)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def covariance(n, seed):
    factor = torch.randn(n, n, dtype=torch.float64, generator=generator(seed))
    return 0.02 * factor @ factor.T


def diagonal():
    return Gaussian.diagonal(double([0.1, 0.5, 0.9], [0.3, 0.2, 0.7]), double([0.01, 0.2, 0.05], [0.03, 0.001, 0.1]))


def stationary():
    return Gaussian.stationary(torch.rand(3, 5, generator=generator(5)), coloured_spectrum(3, 5, 2, 0.06))


def dense():
    return Gaussian.dense(torch.rand(2, 4, generator=generator(6)), covariance(8, 1))


def mixture():
    ends = [double(0.2, 0.3, 0.1), double(0.6, 0.8, 0.5), double(0.3, 0.9, 0.2)]
    dense_end, *rest = [Gaussian.dense(mean, covariance(3, seed)) for seed, mean in enumerate(ends)]
    return Mixture(double(0.5, 0.2, 0.3), [dense_end, *rest])


ORACLES = [diagonal(), stationary(), dense(), mixture()]
NAMES = ["diagonal", "stationary", "dense", "mixture"]
every_oracle = pytest.mark.parametrize("oracle", ORACLES, ids=NAMES)
every_gaussian = pytest.mark.parametrize("oracle", ORACLES[:3], ids=NAMES[:3])


def noisy(oracle, sigma, count=6):
    x = oracle.sample(count, generator(1))
    return x + sigma * torch.randn(x.shape, dtype=torch.float64, generator=generator(2))


@every_oracle
@pytest.mark.parametrize("sigma", [0.02, 0.3, 4.0])
def test_the_denoiser_is_x_plus_sigma_squared_times_the_score(oracle, sigma):
    x = noisy(oracle, sigma).requires_grad_()
    (score,) = torch.autograd.grad(oracle.log_density(x, sigma).sum(), x)
    torch.testing.assert_close(oracle.denoise(x, sigma), x + sigma**2 * score, rtol=1e-9, atol=1e-9)


@every_oracle
@pytest.mark.parametrize("sigma", [0.05, 0.5])
def test_the_posterior_variance_is_sigma_squared_times_the_denoisers_slope(oracle, sigma):
    x, n = noisy(oracle, sigma), oracle.mean.numel()
    slopes = vmap(jacrev(lambda event: oracle.denoise(event[None], sigma)[0]))(x).reshape(len(x), n, n)
    expected = sigma**2 * slopes.diagonal(dim1=1, dim2=2).unflatten(1, oracle.mean.shape)
    if isinstance(oracle, Mixture):
        torch.testing.assert_close(oracle.posterior_variance(x, sigma), expected, rtol=1e-8, atol=1e-12)
    else:
        torch.testing.assert_close(oracle.pixel_variance(sigma).expand_as(x), expected, rtol=1e-8, atol=1e-12)
        assert oracle.variance(sigma) == pytest.approx(expected[0].mean().item())


@every_oracle
def test_the_variance_is_the_denoisers_squared_error(oracle):
    x0 = oracle.sample(40_000, generator(3))
    x = x0 + 0.2 * torch.randn(x0.shape, dtype=torch.float64, generator=generator(4))
    error = ((oracle.denoise(x, 0.2) - x0) ** 2).mean().item()
    assert error == pytest.approx(oracle.variance(0.2), rel=0.03)
    assert error != pytest.approx(oracle.variance(0.25), rel=0.03)


@every_oracle
def test_draws_have_the_mean_and_variance(oracle):
    draws = oracle.sample(40_000, generator(3))
    total = oracle.total_variance() if isinstance(oracle, Mixture) else oracle.spectrum.mean().item()
    torch.testing.assert_close(draws.mean(0), oracle.mean, rtol=0, atol=0.02)
    assert draws.var(0).mean().item() == pytest.approx(total, rel=0.03)


@every_gaussian
def test_the_modes_are_an_orthonormal_basis_that_diagonalises(oracle):
    x = noisy(oracle, 0.1)
    torch.testing.assert_close(oracle.synthesise(oracle.analyse(x)), x)
    torch.testing.assert_close(oracle.analyse(x).flatten(1).norm(dim=1), x.flatten(1).norm(dim=1))
    modes = oracle.in_modes()
    torch.testing.assert_close(oracle.synthesise(modes.denoise(oracle.analyse(x), 0.3)), oracle.denoise(x, 0.3))


def test_dense_keeps_its_covariance_and_stationary_is_its_circulant():
    torch.testing.assert_close(dense().covariance(), covariance(8, 1))
    oracle = stationary()
    kernel = torch.fft.ifft2(oracle.spectrum).real
    shifts = [kernel.roll((row, column), (0, 1)).flatten() for row in range(3) for column in range(5)]
    torch.testing.assert_close(oracle.covariance(), torch.stack(shifts))


def assert_bayes(prior, posterior, log_likelihood):
    """log posterior − log prior − log likelihood is the same everywhere."""
    x = noisy(prior, 0.1, count=20)

    def spread(law):
        rest = law.log_density(x) - prior.log_density(x) - log_likelihood(x)
        return (rest.max() - rest.min()).item()

    assert spread(posterior) < 1e-7
    assert spread(prior) > 0.1


def matrix_likelihood(y, matrix, noise_std):
    return lambda x: -((y - x.flatten(1) @ matrix.T) ** 2).sum(1) / (2 * noise_std**2)


@every_oracle
def test_a_matrix_posterior_obeys_bayes_rule(oracle):
    n = oracle.mean.numel()
    matrix = torch.randn(n // 2 + 1, n, dtype=torch.float64, generator=generator(7)) / n**0.5
    y = matrix @ oracle.sample(1, generator(8)).flatten()
    assert_bayes(oracle, oracle.posterior_projected(y, matrix, 0.1), matrix_likelihood(y, matrix, 0.1))


@every_gaussian
def test_a_mode_posterior_is_the_matrix_posterior(oracle):
    gain = torch.linspace(0, 1, oracle.mean.numel(), dtype=torch.float64).reshape(oracle.mean.shape)
    if oracle.analyse is stationary().analyse:
        gain = coloured_spectrum(3, 5, 2, 0.3)  # a transfer function is even
    y = oracle.filtered(gain, 0.1).sample(1, generator(9))[0]
    unit = torch.eye(oracle.mean.numel(), dtype=torch.float64).unflatten(1, oracle.mean.shape)
    matrix = oracle.synthesise(gain * oracle.analyse(unit)).flatten(1).T
    by_modes, by_matrix = oracle.posterior_filtered(y, gain, 0.1), oracle.posterior_projected(y.flatten(), matrix, 0.1)
    torch.testing.assert_close(by_modes.mean, by_matrix.mean)
    torch.testing.assert_close(by_modes.covariance(), by_matrix.covariance())
    torch.testing.assert_close(oracle.filtered(gain, 0.1).covariance(), oracle.projected(matrix, 0.1).covariance())


def test_a_mixture_posterior_through_a_mask_obeys_bayes_rule():
    prior = Mixture(double(0.4, 0.6), [diagonal(), Gaussian.diagonal(double([0.8, 0.1, 0.4], [0, 0, 1]), double(0.1))])
    mask, y = double([1, 0, 1], [0, 0, 1]), double([0.2, 0.0, 0.5], [0.0, 0.0, 0.6])
    posterior = prior.posterior_filtered(y, mask, 0.1)
    assert_bayes(prior, posterior, lambda x: -((y - mask * x) ** 2).flatten(1).sum(1) / (2 * 0.1**2))


def test_the_coloured_spectrum_is_even_and_keeps_the_variance():
    spectrum = coloured_spectrum(7, 6, exponent=2, variance=0.06)
    assert spectrum.mean().item() == pytest.approx(0.06)
    torch.testing.assert_close(spectrum, spectrum.flip((0, 1)).roll((1, 1), (0, 1)))
    assert spectrum[0, 0] > 10 * spectrum[3, 3]
