import numpy as np
import pytest
import torch

from veriscale.diffusion.noise_field import NoiseField
from veriscale.physics.measurement_noise import GaussianNoise
from veriscale.physics.registry import parse_operator
from veriscale.physics.slice_profile import SliceProfile
from veriscale.traversal import zero_shot
from veriscale.traversal.method import Work

OPERATORS = {
    "Proximal": (parse_operator("downsample:factor=2"), (3, 8, 8)),
    "ThickSlices": (SliceProfile(2, 2, axis=2).bind(np.eye(4)), (3, 8, 8, 4)),
}


@pytest.mark.parametrize("copies", [1, 3])
@pytest.mark.parametrize("posterior", OPERATORS)
def test_where_channels_are_copies_the_variance_counts_as_often_as_the_noise(posterior, copies, tiny, monkeypatch):
    told = []
    kind = getattr(zero_shot, posterior)
    monkeypatch.setattr(zero_shot, posterior, lambda d, data, v: told.append((data.noise_std, v)) or kind(d, data, v))
    operator, shape = OPERATORS[posterior]
    method = zero_shot.ZeroShot(tiny, operator, GaussianNoise(0.05), shape, sampler="heun", steps=2)
    field = NoiseField(0, "0")
    problem = method.begin(torch.full((1, *shape), 0.4), copies, lambda: field, Work(False, 9))
    problem.draw([(field, 0)], 0.3)
    assert told == [(pytest.approx(0.05 * copies**0.5), copies * tiny.mode(0).sigma_data[0] ** 2)]
