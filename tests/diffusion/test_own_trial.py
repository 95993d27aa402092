"""What a denoiser is tried on, and how it is called: in place, in batches, with numbers of any type."""

import pytest
import torch
from tests.diffusion.test_own_prior import SCHEDULE, as_network, plain

from veriscale.diffusion.own_prior import prior_from
from veriscale.runtime.networks import UnconditionalDenoiser


def in_place(network):
    """The same, which leaves its arguments changed."""

    def changing(x, t):
        out = network(x, t).clone()
        x.mul_(2).sub_(1)
        t.zero_()
        return out

    return changing


@pytest.mark.parametrize(
    "network, stated",
    [
        (plain, {}),
        (lambda x, s: 2 * plain((x + 1) / 2, s / 2) - 1, {"range": (-1, 1)}),
        (as_network("epsilon", False), {"predicts": "epsilon", "alphas_bar": SCHEDULE}),
        (as_network("v", False), {"predicts": "v", "alphas_bar": SCHEDULE}),
        (as_network("flow", False), {"predicts": "flow"}),
    ],
)
def test_a_denoiser_may_change_its_input(network, stated):
    one, two = (
        UnconditionalDenoiser(prior_from(f, channels=3, version="1", **stated)) for f in (network, in_place(network))
    )
    x = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    before = x.clone()
    for sigma in (0.02, 0.3):
        assert torch.equal(one(x, sigma), two(x, sigma))
        g = torch.ones_like(x)
        assert torch.equal(one.pullback(x, sigma)[1](g), two.pullback(x, sigma)[1](g))
    assert torch.equal(x, before)
    assert one.prior.notes == two.prior.notes
