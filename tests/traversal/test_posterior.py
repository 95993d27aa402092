from dataclasses import replace

import pytest
import torch
from tests.traversal.problem import OPERATORS, SIDE, coloured, measured, posteriors, relative, white

from veriscale.errors import InputError
from veriscale.traversal.posterior import Covariance, Proximal, autograd_pullback

SIGMAS = (0.02, 0.2, 1.0)


def noisy(count: int, sigma: float) -> torch.Tensor:
    generator = torch.Generator().manual_seed(9)
    x = 0.5 + 0.25 * torch.randn(count, 1, SIDE, SIDE, generator=generator, dtype=torch.float64)
    return x + sigma * torch.randn(x.shape, generator=generator, dtype=torch.float64)


def error(posterior, prior, data, sigma: float) -> float:
    """Against the posterior's own denoiser."""
    x = noisy(len(data.y), sigma)
    expected = [p.denoise(x[k : k + 1], sigma) for k, p in enumerate(posteriors(prior, data))]
    return relative(posterior(x, sigma), torch.cat(expected))


@pytest.mark.parametrize("sigma", SIGMAS)
@pytest.mark.parametrize("name", OPERATORS)
def test_proximal_is_exact_for_a_white_gaussian(name, sigma):
    prior = white(1 / 16)
    _, data = measured(prior, OPERATORS[name], count=2)
    assert error(Proximal(prior.denoise, data, 1 / 16), prior, data, sigma) < 1e-5
    if sigma > 0.1:  # negative control: the variance matters, where the prior has a say
        assert error(Proximal(prior.denoise, data, 1 / 8), prior, data, sigma) > 1e-4


@pytest.mark.parametrize("sigma", SIGMAS)
@pytest.mark.parametrize("name", OPERATORS)
def test_covariance_is_exact_for_any_gaussian(name, sigma):
    prior = coloured()
    _, data = measured(prior, OPERATORS[name], count=2)
    exact = Covariance(autograd_pullback(prior.denoise), data, iterations=400, tolerance=1e-9)
    assert error(exact, prior, data, sigma) < 1e-7
    if sigma > 0.1:  # negative control: the proximal map takes the covariance for white
        assert error(Proximal(prior.denoise, data, 1 / 16), prior, data, sigma) > 1e-3


@pytest.mark.parametrize("sigma", SIGMAS)
@pytest.mark.parametrize("name", OPERATORS)
def test_both_are_exact_where_three_channels_show_one_picture(name, sigma):
    """The noise of x_σ is new in each channel, so that their mean is all that they tell, at sigma/√3."""
    prior = white(1 / 16)
    _, data = measured(prior, OPERATORS[name], count=1)
    x = noisy(3, sigma).movedim(0, 1)
    mean = x.mean(1, keepdim=True)
    (exact,) = posteriors(prior, data)
    expected = exact.denoise(mean, sigma / 3**0.5).expand(x.shape)
    three = replace(data, y=data.y.expand(-1, 3, *data.y.shape[2:]), copies=3)

    def denoise(v, s):
        return prior.denoise(v.mean(1, keepdim=True), s / 3**0.5).expand(v.shape)

    assert relative(Proximal(denoise, three, 3 / 16)(x, sigma), expected) < 1e-5
    assert relative(Covariance(autograd_pullback(denoise), three, 200, 1e-9)(x, sigma), expected) < 1e-5


def test_covariance_at_its_own_tolerance_is_close():
    prior = coloured()
    _, data = measured(prior, OPERATORS["half"])
    for sigma in SIGMAS:
        assert error(Covariance(autograd_pullback(prior.denoise), data, iterations=200), prior, data, sigma) < 0.02


def test_covariance_says_when_it_does_not_converge():
    prior = coloured()
    _, data = measured(prior, OPERATORS["half"])
    with pytest.raises(InputError, match="did not converge"):
        Covariance(autograd_pullback(prior.denoise), data, iterations=1, enough=1e-3)(noisy(1, 1.0), 1.0)


def test_pullback_is_the_transposed_derivative():
    """Of a denoiser that is not linear and whose derivative is not symmetric."""

    def denoise(x: torch.Tensor, sigma: float) -> torch.Tensor:
        return x / (1 + sigma**2) + 0.1 * x.roll(1, -1).sin()

    x, direction, towards = (noisy(2, s) for s in (0.1, 0.2, 0.3))
    out, pull = autograd_pullback(denoise)(x, 0.5)
    torch.testing.assert_close(out, denoise(x, 0.5))
    assert not out.requires_grad
    step = 1e-6
    slope = (denoise(x + step * direction, 0.5) - denoise(x - step * direction, 0.5)) / (2 * step)
    pulled = pull(towards)
    torch.testing.assert_close((pulled * direction).sum(), (towards * slope).sum())
    torch.testing.assert_close(pull(towards), pulled)  # it can be asked more than once
