import pytest
import torch

from veriscale.physics.measurement_noise import parse_noise
from veriscale.traversal.zero_shot import seen_as_copies


@pytest.mark.parametrize("noise", ["0.05", "poisson:peak=30"])
def test_a_grey_measurement_seen_as_three_channels_is_no_more_data(noise):
    model, clean = parse_noise(noise), torch.linspace(0.01, 1, 7)
    one, three = ((n.variance(clean), n.typical_std(clean) ** 2) for n in (model, seen_as_copies(model, 3)))
    assert three[1] == pytest.approx(3 * one[1])
    assert one[0] is None or torch.allclose(three[0], 3 * one[0])
