"""The exact ε, v, x₀ and flow networks of a Gaussian, adapted, against the Gaussian's own denoiser."""

import numpy as np
import pytest
import torch

from veriscale.diffusion.adapters import (
    ddpm_cosine,
    ddpm_linear,
    from_epsilon,
    from_flow,
    from_v,
    from_x0,
    in_symmetric_range,
    sigmas_of,
    timestep_of,
)
from veriscale.diffusion.oracles import Gaussian, coloured_spectrum
from veriscale.errors import InputError

ORACLE = Gaussian.stationary(
    torch.rand(3, 6, 5, generator=torch.Generator().manual_seed(0)), coloured_spectrum(6, 5, 2, 0.06)
)
SCHEDULES = {"linear": ddpm_linear(), "cosine": ddpm_cosine(), "short": ddpm_linear(50, 1e-4, 0.3)}
LEVELS = [0.02, 0.1234, 1.0, 7.5]


def noisy(sigma):
    generator = torch.Generator().manual_seed(1)
    return ORACLE.sample(4, generator) + sigma * torch.randn(4, 3, 6, 5, generator=generator, dtype=torch.float64)


def parts(x_t, t, alphas_bar):
    """x₀ and ε expected by the Gaussian, with log σ linear between timesteps."""
    sigmas = sigmas_of(alphas_bar)
    sigma = np.exp(np.interp(t[0].item(), np.arange(len(sigmas)), sigmas.log().numpy())).item()
    signal = (1 + sigma**2) ** -0.5
    x0 = ORACLE.denoise(x_t / signal, sigma)
    return x0, (x_t - signal * x0) / (signal * sigma), signal, signal * sigma


def epsilon(alphas_bar):
    return lambda x_t, t: parts(x_t, t, alphas_bar)[1]


def velocity(alphas_bar):
    def network(x_t, t):
        x0, noise, signal, spread = parts(x_t, t, alphas_bar)
        return signal * noise - spread * x0

    return network


def clean(alphas_bar):
    return lambda x_t, t: parts(x_t, t, alphas_bar)[0]


def flow(x_t, t):
    time = t[0].item()
    x0 = ORACLE.denoise(x_t / (1 - time), time / (1 - time))
    return (x_t - (1 - time) * x0) / time - x0


ADAPTERS = [(from_epsilon, epsilon), (from_v, velocity), (from_x0, clean)]


@pytest.mark.parametrize("sigma", LEVELS)
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("adapt, network", ADAPTERS, ids=["epsilon", "v", "x0"])
def test_an_adapted_network_is_the_oracles_denoiser(adapt, network, schedule, sigma):
    alphas_bar, x = SCHEDULES[schedule], noisy(sigma)
    torch.testing.assert_close(
        adapt(network(alphas_bar), alphas_bar)(x, sigma), ORACLE.denoise(x, sigma), rtol=0, atol=1e-6
    )


@pytest.mark.parametrize("sigma", LEVELS)
def test_an_adapted_flow_is_the_oracles_denoiser(sigma):
    x = noisy(sigma)
    torch.testing.assert_close(from_flow(flow)(x, sigma), ORACLE.denoise(x, sigma), rtol=0, atol=1e-6)


def test_a_network_taken_for_another_parametrisation_is_not():
    x, alphas_bar = noisy(1.0), SCHEDULES["linear"]
    for adapt, network in [(from_epsilon, velocity), (from_v, clean), (from_x0, epsilon)]:
        assert (adapt(network(alphas_bar), alphas_bar)(x, 1.0) - ORACLE.denoise(x, 1.0)).abs().max() > 0.01


@pytest.mark.parametrize("adapt, network", ADAPTERS, ids=["epsilon", "v", "x0"])
def test_a_network_of_whole_timesteps_is_asked_for_those_alone(adapt, network):
    alphas_bar, asked = SCHEDULES["linear"], []

    def recorded(x_t, t):
        asked.append(t)
        return network(alphas_bar)(x_t, t)

    denoise = adapt(recorded, alphas_bar, quantize=True)
    between, x = 0.1234, noisy(0.1234)
    assert (denoise(x, between) - ORACLE.denoise(x, between)).abs().max() < 5e-3
    at = sigmas_of(alphas_bar)[300].item()
    torch.testing.assert_close(denoise(noisy(at), at), ORACLE.denoise(noisy(at), at), rtol=0, atol=1e-6)
    assert [t.dtype for t in asked] == [torch.int64] * 2
    assert asked[1].tolist() == [300] * 4


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_timesteps_invert_the_noise_levels(schedule):
    alphas_bar = SCHEDULES[schedule]
    sigmas = sigmas_of(alphas_bar)
    assert (sigmas.diff() > 0).all()
    for t in (0, 17, len(sigmas) - 1):
        assert timestep_of(sigmas[t].item(), alphas_bar) == pytest.approx(t, abs=1e-6)
    assert timestep_of(sigmas[0].item() / 10, alphas_bar) == 0


def test_more_noise_than_a_network_knows_is_refused():
    with pytest.raises(InputError, match="knows noise up to σ = 157"):
        timestep_of(200.0, SCHEDULES["linear"])


def test_ddpms_noise_levels_are_the_published_ones():
    sigmas = sigmas_of(ddpm_linear())
    assert sigmas[10].item() == pytest.approx(0.0469, abs=1e-3)
    assert sigmas[-1].item() == pytest.approx(157.4, abs=0.1)


def test_a_picture_in_the_symmetric_range_is_brought_to_ours():
    wide = Gaussian(2 * ORACLE.mean - 1, 4 * ORACLE.spectrum, ORACLE.analyse, ORACLE.synthesise)
    x = noisy(0.3)
    torch.testing.assert_close(in_symmetric_range(wide.denoise)(x, 0.3), ORACLE.denoise(x, 0.3), rtol=0, atol=1e-12)
    assert (wide.denoise(x, 0.3) - ORACLE.denoise(x, 0.3)).abs().max() > 0.1


def test_half_precision_pictures_get_single_precision_times():
    asked = []

    def network(x_t, t):
        asked.append(t)
        return x_t

    from_epsilon(network, SCHEDULES["linear"])(torch.zeros(2, 1, 2, 2, dtype=torch.bfloat16), 10.0)
    assert asked[0].dtype == torch.float32
