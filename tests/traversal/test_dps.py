import torch
from tests.traversal.problem import OPERATORS, SIDE, coloured, measured, posteriors

from veriscale.diffusion.schedule import karras
from veriscale.physics.data_term import DataTerm
from veriscale.physics.hdr import Clip
from veriscale.physics.measurement_noise import GaussianNoise
from veriscale.traversal.dps import dps
from veriscale.traversal.posterior import autograd_pullback

PRIOR = coloured()
PULLBACK = autograd_pullback(PRIOR.denoise)


def unit(step: int, count: int = 2) -> torch.Tensor:
    """An item's noise does not depend on how many there are."""
    items = [torch.Generator().manual_seed(1000 * step + k) for k in range(count)]
    return torch.stack([torch.randn(1, SIDE, SIDE, generator=g, dtype=torch.float64) for g in items])


def draws(data: DataTerm, zeta: float, steps: int = 60, count: int = 2, **options) -> torch.Tensor:
    start = PRIOR.mean + 2 * unit(999, count)
    return dps(PULLBACK, data, start, karras(2.0, 0.005, steps), zeta, lambda k: unit(k, count), **options)


def test_an_item_does_not_know_its_neighbours():
    """A norm over the batch would."""
    _, data = measured(PRIOR, OPERATORS["box"], count=2)
    far = DataTerm(data.operator, torch.cat([data.y[:1], 5 + data.y[1:]]), data.noise)
    alone = DataTerm(data.operator, data.y[:1], data.noise)
    torch.testing.assert_close(draws(far, 1.0)[:1], draws(alone, 1.0, count=1))


def test_a_step_is_the_authors():
    """Algorithm 1 as published: variance preserving, data on [−1, 1], the gradient in x_t."""
    s, t, zeta = 0.6, 0.35, 0.7
    _, data = measured(PRIOR, OPERATORS["box"], count=2)
    x, n = PRIOR.mean + s * unit(7), unit(0)
    visited: list[torch.Tensor] = []

    def watched(v: torch.Tensor, sigma: float):
        visited.append(v)
        return PULLBACK(v, sigma)

    dps(watched, data, x, torch.tensor([s, t, 0.0], dtype=torch.float64), zeta, lambda step: n)

    bar, bar_before = 1 / (1 + 4 * s**2), 1 / (1 + 4 * t**2)
    alpha = bar / bar_before
    beta = 1 - alpha
    x_t = (bar**0.5 * (2 * x - 1)).requires_grad_()
    x_0 = 2 * PRIOR.denoise((x_t / bar**0.5 + 1) / 2, s) - 1
    rest = (2 * data.y - 1) - data.operator.forward(x_0)  # the operator's rows sum to 1
    (gradient,) = torch.autograd.grad(rest.flatten(1).norm(dim=1).sum(), x_t)
    mean = (alpha**0.5 * (1 - bar_before) * x_t + bar_before**0.5 * beta * x_0) / (1 - bar)
    noise = ((1 - bar_before) / (1 - bar) * beta) ** 0.5 * n
    expected = (mean + noise - zeta * gradient).detach()
    torch.testing.assert_close(visited[1], (expected / bar_before**0.5 + 1) / 2, rtol=1e-6, atol=1e-8)


def test_the_guidance_brings_the_residual_down():
    for operator in (*OPERATORS.values(), Clip(2.0)):
        x = PRIOR.sample(2, torch.Generator().manual_seed(0))
        data = DataTerm(operator, operator.forward(x), GaussianNoise(0.05))
        unguided, guided = (data.consistency(draws(data, zeta)) for zeta in (0.0, 1.0))
        assert bool((guided < unguided / 4).all()), operator


def test_the_guidance_brings_the_mean_near_the_posterior():
    _, data = measured(PRIOR, OPERATORS["half"])
    expected = posteriors(PRIOR, data)[0].mean
    many = DataTerm(data.operator, data.y.expand(16, -1, -1, -1), data.noise)

    def off(zeta: float) -> float:
        return float((draws(many, zeta, count=16).mean(0) - expected).square().mean().sqrt())

    assert off(1.0) < 0.35 * off(0.0)


def test_without_guidance_it_is_the_ancestral_chain_of_the_prior():
    """The variance t²(1 − k) alone is too small, by what `samplers.ancestral` adds; never too large."""
    _, data = measured(PRIOR, OPERATORS["half"])
    many = DataTerm(data.operator, data.y.expand(128, -1, -1, -1), data.noise)
    found = float((draws(many, 0.0, steps=100, count=128) - PRIOR.mean).square().mean())
    assert 0.8 / 16 < found < 1.05 / 16


def test_it_tells_every_evaluation():
    _, data = measured(PRIOR, OPERATORS["box"], count=2)
    told: list[tuple[int, int]] = []
    draws(data, 1.0, steps=3, tell=lambda done, of: told.append((done, of)))
    assert told == [(1, 3), (2, 3), (3, 3)]
