"""What the method over latents does beside its two stages."""

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
import torch
from tests.latent.models import write_stable_diffusion

from veriscale.diffusion.noise_field import NoiseField
from veriscale.latent.method import POSTERIORS, Latent, LatentProblem
from veriscale.latent.prior import LatentPrior
from veriscale.physics.measurement_noise import GaussianNoise
from veriscale.physics.registry import parse_operator
from veriscale.traversal.method import Work
from veriscale.traversal.presets import LATENT_DEFAULT
from veriscale.workflows.opening import load_prior


@pytest.mark.parametrize("variance", [0.05, 0.3, 0.8])
@pytest.mark.parametrize("sigma_max", [14.6, 80.0])
def test_pilot_draws_lie_where_latents_change(variance, sigma_max):
    """A mode of posterior variance c has the share σ₀²/(c + σ₀²) by the flow, wherever the schedule ends."""
    anchor = torch.zeros(1, 4, 128, 128)
    noise = iter(torch.randn(8, *anchor.shape[1:], generator=torch.Generator().manual_seed(0)))

    def draw(start: float) -> torch.Tensor:
        return (variance * share(start)) ** 0.5 * next(noise)[None]

    def share(start: float) -> float:
        return start**2 / (variance + start**2)

    problem = SimpleNamespace(anchor=anchor, method=SimpleNamespace(sigma_max=sigma_max))
    dial = LatentProblem.dial(cast(LatentProblem, problem), [draw(sigma_max), draw(sigma_max)], draw)
    for f in (0.25, 0.5, 0.75):
        assert share(float(np.interp(f, dial.fraction, dial.sigma_0))) == pytest.approx(f, abs=0.08)


@pytest.fixture(scope="module")
def prior(tmp_path_factory) -> LatentPrior:
    found = load_prior(write_stable_diffusion(tmp_path_factory.mktemp("models") / "sd"), dtype=torch.float32)
    assert isinstance(found, LatentPrior)
    return found


@pytest.mark.parametrize("posterior", POSTERIORS)
def test_copies_of_one_channel_are_one_measurement(posterior, prior):
    """Three of them with the noise of one say as much as three of their own with √3 times the noise."""
    operator, field = parse_operator("downsample:factor=2,kernel=box"), NoiseField(0, "0")
    y = torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(3)).expand(1, 3, 8, 8)

    def restored(copies: int, noise_std: float) -> tuple[torch.Tensor, torch.Tensor]:
        noise = GaussianNoise(noise_std)
        knobs = replace(LATENT_DEFAULT, iterations=4)
        method = Latent(prior, operator, noise, tuple(y.shape[1:]), posterior, knobs, sampler="heun", steps=2)
        problem = method.begin(y, copies, lambda: field, Work(False, 9))
        return problem.anchor, problem.draw([(field, 0)], method.sigma_max)

    one, other, more = restored(3, 0.1), restored(1, 0.1 * 3**0.5), restored(1, 0.1)
    for a, b, c in zip(one, other, more, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=0)
        assert (a - c).abs().max() > 1e-3
