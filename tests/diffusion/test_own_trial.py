"""What a denoiser is tried on, and how it is called: in place, in batches, with numbers of any type."""

import pytest
import torch
from tests.diffusion.test_own_prior import SCHEDULE, as_network, plain

from veriscale.diffusion.own_prior import prior_from
from veriscale.errors import InputError
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


def mixed(x, s):
    out = plain(x, s)
    return out if len(x) == 1 else out.mean(0, keepdim=True).expand_as(out)


@pytest.mark.parametrize("function", [mixed, lambda x, s: plain(x, s.reshape(())[None]), lambda x, s: plain(x, s)[:1]])
def test_a_denoiser_of_single_pictures_is_called_one_by_one(function):
    one, two = (prior_from(f, channels=3, version="1") for f in (plain, function))
    x = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    assert torch.equal(one.denoise(x, 0.3), two.denoise(x, 0.3))


def test_a_denoiser_of_batches_is_called_once():
    asked = []

    def function(x, s):
        asked.append(len(x))
        return plain(x, s)

    prior = prior_from(function, channels=3, version="1")
    prior.denoise(torch.rand(3, 3, 16, 16), 0.3)
    assert asked[-1] == 3


def flickering(x, s):
    return plain(x, s) + 0.01 * torch.randn_like(x)


def test_a_denoiser_that_draws_is_refused():
    network = torch.nn.Sequential(torch.nn.AlphaDropout(0.1), torch.nn.Conv2d(3, 3, 1))
    for function in (flickering, lambda x, s: plain(x, s) + 0.01 * network(x)):
        with pytest.raises(InputError, match=r"one picture with two that are 0\.0.* apart.*call `eval\(\)`"):
            prior_from(function, channels=3, version="1", module=torch.nn.Identity())
    network.eval()
    prior_from(lambda x, s: plain(x, s) + 0.01 * network(x), channels=3)


def test_rounding_is_no_draw():
    nudge = iter(range(10**6))
    function = lambda x, s: plain(x, s) + 1e-6 * (next(nudge) % 2)  # noqa: E731
    assert prior_from(function, channels=3, version="1").notes == ()


@pytest.mark.parametrize(
    "kinds, wanted",
    [
        (["int8"], "float32"),
        (["complex64", "float64"], "float64"),
        (["float8_e4m3fn", "bfloat16"], "bfloat16"),
        (["int8", "float16", "float32"], "float16"),
    ],
)
def test_pictures_are_given_in_the_first_type_they_can_have(kinds, wanted):
    class Of(torch.nn.Module):
        def __init__(self):
            super().__init__()
            for k, kind in enumerate(kinds):
                self.register_buffer(f"w{k}", torch.zeros(3).to(getattr(torch, kind)))

        def forward(self, x, sigma):
            assert x.dtype is getattr(torch, wanted)
            return plain(x.float(), sigma).to(x.dtype)

    prior = prior_from(Of(), channels=3)
    assert prior.dtype is getattr(torch, wanted)
    assert prior.denoise(torch.rand(1, 3, 8, 8), 0.3).dtype is torch.float32


@pytest.mark.parametrize("kind", [torch.int32, torch.uint8, torch.bool, torch.complex64])
def test_answers_that_are_no_pictures_are_refused(kind):
    with pytest.raises(InputError, match=rf"answers in {kind}, which no picture is in"):
        prior_from(lambda x, s: plain(x, s).to(kind), channels=3, version="1")
