"""Each sampler against its own law, exactly (`output_law`) or by draws, on Gaussians and mixtures."""

from math import log

import pytest
import torch

from veriscale.diffusion.oracles import Gaussian, Mixture, coloured_spectrum, output_law
from veriscale.diffusion.samplers import SAMPLERS, ancestral, dpm_solver_pp, evaluations, heun, sample
from veriscale.diffusion.schedule import geometric, karras
from veriscale.errors import InputError

FLOWS = ["heun", "dpm-solver++"]
SHAPE = (12, 10)


def white(variance=0.06):
    return Gaussian.diagonal(torch.full(SHAPE, 0.4), torch.tensor(variance))


def coloured():
    ramp = torch.linspace(0.2, 0.8, SHAPE[1], dtype=torch.float64).expand(SHAPE)
    return Gaussian.stationary(ramp, coloured_spectrum(*SHAPE, exponent=2, variance=0.06))


def start(oracle, sigma, mean=None):
    mean = oracle.mean if mean is None else mean
    return Gaussian(mean, torch.full_like(oracle.spectrum, sigma**2), oracle.analyse, oracle.synthesise)


def law(name, oracle, steps, variance=None, sigma_max=20.0):
    sigmas = karras(sigma_max, 0.005, steps)
    return output_law(name, oracle, start(oracle, sigma_max), sigmas, variance or oracle.mode_variance)


def variance_error(end, oracle):
    return (end.spectrum.sum() / oracle.spectrum.sum() - 1).item()


def no_noise(step):
    raise AssertionError("a flow draws no noise")


@pytest.mark.parametrize(
    "oracle, sigma_max",  # well above the largest mode's standard deviation
    [(white(), 5.0), (coloured(), 20.0)],
    ids=["white", "coloured"],
)
@pytest.mark.parametrize(
    "name, steps, bar",
    [
        ("ancestral", 20, 0.01),
        ("heun", 20, 0.06),
        ("heun", 100, 0.01),
        ("dpm-solver++", 20, 0.06),
        ("dpm-solver++", 100, 0.01),
    ],
)
def test_draws_have_the_mean_and_variance_of_the_target(oracle, sigma_max, name, steps, bar):
    end = law(name, oracle, steps, sigma_max=sigma_max)
    assert abs(variance_error(end, oracle)) <= bar
    torch.testing.assert_close(end.mean, oracle.mean, rtol=0, atol=1e-9)


def test_without_the_posterior_variance_ancestral_draws_are_too_tame():
    for oracle in (white(), coloured()):
        assert variance_error(law("ancestral", oracle, 20, variance=lambda sigma: 0.0), oracle) < -0.25
        assert variance_error(law("ancestral", oracle, 100, variance=lambda sigma: 0.0), oracle) < -0.05


def test_one_number_for_the_posterior_variance_is_exact_for_white_covariance_only():
    assert abs(variance_error(law("ancestral", white(), 20, variance=white().variance), white())) < 0.001
    assert variance_error(law("ancestral", coloured(), 20, variance=coloured().variance), coloured()) < -0.05


@pytest.mark.parametrize("steps", [2, 5, 20])
def test_ancestral_is_exact_on_every_mode_at_any_step_count(steps):
    # from the exact marginal, up to the mean the last step returns: c²/(c + σ_min²)
    oracle, sigmas = coloured(), karras(20.0, 0.005, steps)
    marginal = Gaussian(oracle.mean, oracle.spectrum + 20.0**2, oracle.analyse, oracle.synthesise)
    end = output_law("ancestral", oracle, marginal, sigmas, oracle.mode_variance)
    torch.testing.assert_close(end.spectrum, oracle.spectrum**2 / (oracle.spectrum + 0.005**2), rtol=1e-9, atol=0)


@pytest.mark.parametrize("sigma", [0.02, 0.1, 0.5])
@pytest.mark.parametrize("name", SAMPLERS)
def test_renoised_from_the_mean_the_variance_is_c_one_minus_rho_squared_or_c_one_minus_rho(name, sigma):
    prior = coloured()
    gain = (-200 * coloured_spectrum(*SHAPE, exponent=-2, variance=0.01)).exp()  # an even low-pass filter
    posterior = prior.posterior_filtered(prior.filtered(gain, 0.05).mean, gain, 0.05)
    c = posterior.spectrum
    rho = c / (c + sigma**2)
    expected = c * (1 - rho**2) if name == "ancestral" else c * (1 - rho)
    other = c * (1 - rho) if name == "ancestral" else c * (1 - rho**2)
    end = output_law(name, posterior, start(posterior, sigma), karras(sigma, 0.001, 100), posterior.mode_variance)
    assert (end.spectrum / expected - 1).abs().max() < 0.03
    assert abs(end.spectrum.sum() / other.sum() - 1) > 0.03  # the law of the other kind does not fit


@pytest.mark.parametrize("name", SAMPLERS)
def test_the_error_of_a_start_shrinks_by_rho_or_its_root(name):
    oracle, sigma = coloured(), 0.5
    off = start(oracle, sigma, mean=oracle.mean + 0.1 * torch.randn(SHAPE, generator=torch.Generator().manual_seed(3)))
    end = output_law(name, oracle, off, karras(sigma, 0.001, 100), oracle.mode_variance)
    rho = oracle.spectrum / (oracle.spectrum + sigma**2)
    shrunk = oracle.analyse((end.mean - oracle.mean)[None]) / oracle.analyse((off.mean - oracle.mean)[None])
    torch.testing.assert_close(shrunk[0], rho if name == "ancestral" else rho**0.5, rtol=0.02, atol=0)


@pytest.mark.parametrize("name, flow", [("heun", heun), ("dpm-solver++", dpm_solver_pp)])
def test_a_flow_converges_with_the_square_of_the_steps(name, flow):
    def error(steps, solve):
        # between two levels above 0, where the exact flow scales a deviation by the ratio of standard deviations
        sigmas = geometric(2.0, 0.1, steps)[:-1]
        one = torch.ones(1, 1, dtype=torch.float64)
        exact = ((0.06 + 0.1**2) / (0.06 + 2.0**2)) ** 0.5
        return abs(solve(lambda x, sigma: 0.06 / (0.06 + sigma**2) * x, one, sigmas).item() - exact)

    def euler(denoise, x, sigmas):
        for s, t in zip(sigmas.tolist(), sigmas.tolist()[1:], strict=False):
            x = x + (t - s) * (x - denoise(x, s)) / s
        return x

    assert 3.4 < error(100, flow) / error(200, flow) < 4.6
    assert error(100, euler) / error(200, euler) < 2.5


def test_dpm_solver_extrapolates_to_the_middle_of_uneven_steps():
    # a denoiser that is linear in log σ is met exactly at a step's geometric middle
    end = dpm_solver_pp(lambda x, sigma: torch.full_like(x, log(sigma)), torch.ones(1), torch.tensor([4, 2, 0.5, 0.4]))
    expected = 1.0
    for s, t, target in [(4, 2, log(4)), (2, 0.5, log(1)), (0.5, 0.4, log(0.2) / 2)]:
        expected = t / s * expected + (1 - t / s) * target
    assert end.item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("name", SAMPLERS)
def test_evaluations_are_counted_as_they_are_made(name):
    calls = []

    def denoise(x, sigma):
        calls.append(sigma)
        return torch.full_like(x, 0.25)

    noise = torch.ones(1, 3, 4, 4)
    end = sample(name, denoise, 2 * noise, karras(1.0, 0.01, 9), lambda sigma: 0.0, lambda step: noise)
    assert len(calls) == evaluations(name, 9)
    assert min(calls) > 0
    torch.testing.assert_close(end, torch.full_like(end, 0.25))


@pytest.mark.parametrize("name", SAMPLERS)
def test_the_start_is_not_written_to_and_its_dtype_is_kept(name):
    x = torch.randn(2, 3, 5, 4, generator=torch.Generator().manual_seed(0))
    before = x.clone()
    end = sample(name, lambda x, sigma: x / 2, x, karras(1.0, 0.01, 4), lambda sigma: 0.1, lambda step: before)
    assert torch.equal(x, before)
    assert end.dtype == torch.float32
    assert end.shape == x.shape


@pytest.mark.parametrize("name", SAMPLERS)
def test_draws_in_pixels_follow_the_law_computed_in_modes(name):
    rotation = torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)).Q
    covariance = rotation @ torch.diag(torch.logspace(-3, -0.5, 6, dtype=torch.float64)) @ rotation.T
    oracle = Gaussian.dense(torch.linspace(0, 1, 6), covariance)
    sigmas, generator = karras(3.0, 0.01, 12), torch.Generator().manual_seed(2)
    expected = output_law(name, oracle, start(oracle, 3.0), sigmas, oracle.variance)

    def unit(step=0):
        return torch.randn(40_000, 6, generator=generator, dtype=torch.float64)

    end = sample(name, oracle.denoise, oracle.mean + 3.0 * unit(), sigmas, oracle.variance, unit)
    spectrum = oracle.analyse(end - oracle.mean).var(0)
    torch.testing.assert_close(spectrum, expected.spectrum, rtol=0.04, atol=0)
    torch.testing.assert_close(end.mean(0), oracle.mean, rtol=0, atol=0.01)
    assert not torch.allclose(spectrum, oracle.spectrum, rtol=0.04, atol=0)  # the target itself does not fit


@pytest.mark.parametrize("name", SAMPLERS)
def test_draws_of_a_mixture_have_its_mean_variance_and_shares(name):
    means = torch.tensor([[0.2, 0.3], [0.7, 0.6]], dtype=torch.float64)
    ends = [Gaussian.diagonal(mean, torch.tensor(0.0025)) for mean in means]
    target, other = (Mixture(torch.tensor(shares, dtype=torch.float64), ends) for shares in ([0.3, 0.7], [0.4, 0.6]))
    sigmas, generator = karras(5.0, 0.005, 60), torch.Generator().manual_seed(0)

    def unit(step=0):
        return torch.randn(20_000, 2, generator=generator, dtype=torch.float64)

    def errors(law):
        """Of draws of `law` against the target's variance and shares."""
        end = sample(name, law.denoise, law.mean + 5.0 * unit(), sigmas, law.variance, unit)
        shares = target.responsibilities(end, 0.01).mean(0)
        return abs(end.var(0).mean().item() / target.total_variance() - 1), (shares - target.weights).abs().max().item()

    variance_off, shares_off = errors(target)
    assert variance_off < 0.03
    assert shares_off < 0.015
    variance_off, shares_off = errors(other)
    assert variance_off > 0.05
    assert shares_off > 0.08


def test_an_unknown_sampler_names_the_known_ones():
    with pytest.raises(InputError, match=r"did you mean 'heun'.*dpm-solver\+\+, ancestral"):
        sample("huen", None, torch.zeros(1), torch.zeros(2), None, no_noise)
    with pytest.raises(InputError):
        evaluations("euler", 3)


@pytest.mark.parametrize("name", FLOWS)
def test_a_flow_asks_for_no_noise(name):
    sample(name, lambda x, sigma: x, torch.zeros(1, 1), karras(1.0, 0.1, 3), no_noise, no_noise)
    with pytest.raises(AssertionError):
        ancestral(lambda x, sigma: x, torch.zeros(1, 1), karras(1.0, 0.1, 3), lambda sigma: 0.0, no_noise)
