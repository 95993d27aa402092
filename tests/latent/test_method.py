"""What the method over latents does beside its two stages."""

from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
import torch

from veriscale.latent.method import LatentProblem


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
