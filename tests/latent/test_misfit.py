"""The laws of both stages over latents: a linear decoder of N(0, I) latents, where everything has a closed form."""

from dataclasses import dataclass

import pytest
import torch
from tests.traversal.problem import OPERATORS, relative
from torch import Tensor

from veriscale.diffusion.samplers import heun
from veriscale.diffusion.schedule import karras
from veriscale.latent.autoencoder import Autoencoder
from veriscale.latent.misfit import LatentMisfit, dps_length
from veriscale.physics.data_term import DataTerm
from veriscale.physics.hdr import Clip
from veriscale.physics.measurement_noise import GaussianNoise
from veriscale.traversal.anchor import consistent_weight, paper
from veriscale.traversal.dps import dps
from veriscale.traversal.posterior import Proximal, autograd_pullback

SIDE, LATENTS, NOISE_STD = 16, (4, 8, 8), 0.1
GAINS = torch.tensor([0.5, 0.3, 0.2, 0.2], dtype=torch.float64)
HAAR = torch.tensor([[1, 1, 1, 1], [1, 1, -1, -1], [1, -1, 1, -1], [1, -1, -1, 1]], dtype=torch.float64) / 2
FILTERS = (GAINS[:, None] * HAAR).view(4, 1, 2, 2)


def decoder(z: Tensor) -> Tensor:
    return 0.5 + torch.nn.functional.conv_transpose2d(z, FILTERS, stride=2)


def encoder(x: Tensor) -> Tensor:
    return torch.nn.functional.conv2d(x - 0.5, FILTERS, stride=2) / GAINS.view(1, 4, 1, 1) ** 2


LINEAR = Autoencoder(encoder, decoder, 2, 4, torch.device("cpu"), torch.float64)


def denoise(z: Tensor, sigma: float) -> Tensor:
    return z / (1 + sigma**2)


def unit(step: int, count: int = 1) -> Tensor:
    items = [torch.Generator().manual_seed(1000 * step + k) for k in range(count)]
    return torch.stack([torch.randn(LATENTS, generator=g, dtype=torch.float64) for g in items])


def misfit(name: str, shape: tuple[int, int] = (SIDE, SIDE)) -> LatentMisfit:
    operator, truth = OPERATORS[name], decoder(unit(77))[..., : shape[0], : shape[1]]
    clean = operator.forward(truth)
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    y = clean + NOISE_STD * noise
    return LatentMisfit(LINEAR, DataTerm(operator, y, GaussianNoise(NOISE_STD)), (SIDE, SIDE))


@dataclass
class Exact:
    """argmin ‖y − A(Wz + ½)‖²/(2s²) + ‖z − v‖²/(2·variance), with the covariance that belongs to it."""

    mean: Tensor
    covariance: Tensor


def exact(m: LatentMisfit, v: Tensor, variance: float = 1.0) -> Exact:
    units = torch.eye(v.numel(), dtype=torch.float64).view(-1, *LATENTS)
    grey = decoder(torch.zeros(1, *LATENTS, dtype=torch.float64))
    rows = m.data.operator.forward(m._cut(decoder(units) - grey)).flatten(1)
    support = m.data.operator.support(tuple(m.data.y.shape[1:]))
    if support is not None:
        rows = rows * support.expand(m.data.y.shape[1:]).flatten()
    rest = -m.data.residual(m._cut(grey)).flatten()
    covariance = torch.linalg.inv(rows @ rows.T / NOISE_STD**2 + torch.eye(len(rows), dtype=torch.float64) / variance)
    mean = covariance @ (rows @ rest / NOISE_STD**2 + v.flatten() / variance)
    return Exact(mean.view(1, *LATENTS), covariance)


@pytest.mark.parametrize("name", OPERATORS)
def test_stage_one_is_the_most_probable_latent(name):
    m = misfit(name)
    expected = exact(m, torch.zeros(1, *LATENTS, dtype=torch.float64)).mean
    sigma = 0.02  # what the iterate's noise leaves of error is proportional to it

    def end(factor: float) -> float:
        weight = factor * consistent_weight(NOISE_STD, sigma, 1.0)
        found = paper(denoise, m, iterations=1000, weight=weight, rate=0.1, sigma=sigma, noise=unit)
        return relative(found.x, expected)

    assert end(1) < 0.02
    assert end(4) > 3 * end(1)  # negative control: the weight matters


def test_the_plain_norm_has_a_weight_of_its_own():
    """At the minimum of the squared norm with w the gradient of the plain one is that over twice the norm."""
    m, sigma = misfit("half"), 0.02
    weight = consistent_weight(NOISE_STD, sigma, 1.0)
    expected = exact(m, torch.zeros(1, *LATENTS, dtype=torch.float64)).mean
    norm = float(m.norm_gradient(expected)[0])
    settings = {"iterations": 1000, "rate": 0.1, "sigma": sigma, "noise": unit}
    assert relative(paper(denoise, m, weight=weight / (2 * norm), plain=True, **settings).x, expected) < 0.02
    assert relative(paper(denoise, m, weight=weight, plain=True, **settings).x, expected) > 0.05


@pytest.mark.parametrize("shape", [(SIDE, SIDE), (13, 15)])
def test_gradients_go_through_the_decoder_to_the_truth_alone(shape):
    m, z = misfit("half", shape), unit(3)
    into = z.clone().requires_grad_()
    square = m.data.residual(decoder(into)[..., : shape[0], : shape[1]]).square().sum()
    (expected,) = torch.autograd.grad(square, into)
    value, gradient = m.gradient(z)
    torch.testing.assert_close(value, square.detach().view(1))
    torch.testing.assert_close(gradient, expected)
    norm, gradient = m.norm_gradient(z)
    torch.testing.assert_close(norm, value.sqrt())
    torch.testing.assert_close(gradient, expected / (2 * norm))


def test_it_starts_with_what_the_encoder_makes_of_a_first_picture():
    m = misfit("half", (13, 15))
    z = m.start()
    assert z.shape == (1, *LATENTS)
    first = m.data.start()
    torch.testing.assert_close(m.picture(z)[..., :12, :14], first[..., :12, :14])  # whole cells of the decoder


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("shape", [(SIDE, SIDE), (12, 16)])
def test_a_gauss_newton_step_is_the_proximal_map_of_a_linear_decoder(name, shape, monkeypatch):
    monkeypatch.setattr("veriscale.latent.misfit.TOLERANCE", 1e-8)
    monkeypatch.setattr("veriscale.latent.misfit.ITERATIONS", 500)
    m, v = misfit(name, shape), unit(4)
    for sigma in (0.1, 1.0):
        assert relative(m.prox(v, sigma) - v, exact(m, v, sigma**2).mean - v) < 1e-6


def test_a_gauss_newton_step_brings_a_clipped_measurement_nearer():
    x = decoder(unit(77))
    data = DataTerm(Clip(2.0), Clip(2.0).forward(x), GaussianNoise(0.05))
    m, z = LatentMisfit(LINEAR, data, (SIDE, SIDE)), unit(77) + 0.2 * unit(4)
    assert float(m.gradient(m.prox(z, 1.0))[0]) < 0.2 * float(m.gradient(z)[0])


def test_a_step_of_dps_is_the_authors():
    """Variance preserving latents, pictures in [−1, 1], the gradient in z_t times ᾱ_t."""
    s, t, zeta = 0.8, 0.5, 0.3
    m, z, n = misfit("box"), s * unit(7), unit(0)
    visited: list[Tensor] = []
    pullback = autograd_pullback(denoise)

    def watched(v: Tensor, sigma: float):
        visited.append(v)
        return pullback(v, sigma)

    sigmas = torch.tensor([s, t, 0.0], dtype=torch.float64)
    dps(watched, m, z, sigmas, zeta, lambda step: n, length=dps_length)

    bar, bar_before = 1 / (1 + s**2), 1 / (1 + t**2)
    alpha = bar / bar_before
    z_t = (bar**0.5 * z).requires_grad_()
    z_0 = denoise(z_t / bar**0.5, s)
    rest = (2 * m.data.y - 1) - m.data.operator.forward(2 * decoder(z_0) - 1)  # the operator's rows sum to 1
    (gradient,) = torch.autograd.grad(rest.norm(), z_t)
    mean = (alpha**0.5 * (1 - bar_before) * z_t + bar_before**0.5 * (1 - alpha) * z_0) / (1 - bar)
    noise = ((1 - bar_before) / (1 - bar) * (1 - alpha)) ** 0.5 * n
    expected = (mean + noise - zeta * bar * gradient).detach()
    torch.testing.assert_close(visited[1], expected / bar_before**0.5, rtol=1e-6, atol=1e-8)


def test_draws_by_gauss_newton_are_of_the_posterior():
    """Where decoder and operator are linear and latents N(0, I), it is E[z0 | z_sigma, y] itself."""
    m, count = misfit("half"), 64
    held = exact(m, torch.zeros(1, *LATENTS, dtype=torch.float64))
    many = m.of(count)
    posterior = Proximal(denoise, many, 1.0)
    draws = heun(posterior, 20 * unit(9, count), karras(20.0, 0.01, 24))
    spread = float((draws - draws.mean(0)).square().sum() / (count - 1))
    assert spread == pytest.approx(float(held.covariance.trace()), rel=0.05)
    off = float((draws.mean(0) - held.mean[0]).square().sum())
    assert off < 3 * spread / count  # of chance alone
    unguided = heun(denoise, 20 * unit(9, count), karras(20.0, 0.01, 24))
    assert float((unguided.mean(0) - held.mean[0]).square().sum()) > 4 * off  # negative control


def test_what_the_codebook_moves_by_counts_as_constant():
    rounded = Autoencoder(encoder, decoder, 2, 4, torch.device("cpu"), torch.float64, rounded=lambda z: z.round())
    z, g = 2 * unit(1), torch.randn(1, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    torch.testing.assert_close(rounded.decode(z), decoder(z.round()))
    for x, pull in (rounded.pullback(z), rounded.linearised(z)[::2]):
        torch.testing.assert_close(x, decoder(z.round()))
        torch.testing.assert_close(pull(g), LINEAR.pullback(z)[1](g))
    torch.testing.assert_close(rounded.linearised(z)[1](z), decoder(z) - 0.5)
