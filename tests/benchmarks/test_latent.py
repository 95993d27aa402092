"""What the tables of latent priors are made with: the linear decoder, and another's sampler on it."""

import pytest
import torch

from veriscale.diffusion.schedule import karras


@pytest.fixture
def closed(benchmark):
    return benchmark("latent_closed")


def test_draws_that_are_affine_are_those_of_the_posterior(closed, monkeypatch):
    problem = closed.Problem.of(closed.OPERATORS["inpainting"])
    mean, trace = closed.affine(problem)
    assert closed.relative(mean, problem.mean) < 0.02
    assert abs(trace / problem.trace - 1) < 0.02
    monkeypatch.setattr(closed, "STEPS", 3)  # negative control: too few steps are seen
    assert abs(closed.affine(problem)[1] / problem.trace - 1) > 0.02


def test_resample_ends_where_the_measurement_is_met(closed, benchmark):
    resample = benchmark("peers").resample
    problem = closed.Problem.of(closed.OPERATORS["sr"])
    misfit, sigmas = problem.misfit, karras(20.0, 0.01, 20)
    start, enough = 20 * closed.unit(9), torch.tensor([misfit.data.y.numel() * closed.NOISE**2])
    settings = (40.0, 0.1, closed.unit, enough)
    found = resample(closed.denoise, misfit, start, sigmas, *settings, every=5, iterations=300)
    assert float(misfit.gradient(found)[0]) <= float(enough)
    free = resample(closed.denoise, misfit, start, sigmas, *settings, every=5, iterations=0)
    assert float(misfit.gradient(free)[0]) > 2 * float(enough)  # negative control
