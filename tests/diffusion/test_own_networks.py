"""Which networks a denoiser is made of, and what their hash is of."""

import functools

import pytest
import torch
from tests.diffusion.test_own_prior import Net, plain

from veriscale.diffusion.own_prior import prior_from
from veriscale.errors import InputError


class Plain(torch.nn.Module):
    """Keeps its tensor as an attribute, or in a buffer that no state has."""

    def __init__(self, gain, buffer):
        super().__init__()
        if buffer:
            self.register_buffer("gain", torch.tensor(gain), persistent=False)
        else:
            self.gain = torch.tensor(gain)

    def forward(self, x, sigma):
        return plain(x, sigma) * self.gain


@pytest.mark.parametrize("buffer", [False, True])
def test_a_network_without_a_state_is_told_apart_by_its_version_alone(buffer):
    network = Plain(1.0, buffer)
    for function in (network, lambda x, s: network(x, s)):
        with pytest.raises(InputError, match=r"has no parameters that can be found; give `module`.* or `version`"):
            prior_from(function, channels=3)
    one, two = (prior_from(Plain(g, buffer), channels=3, version=str(g)) for g in (1.0, 0.9))
    assert one.card.tensors_sha256 != two.card.tensors_sha256


class Holder:
    """An ordinary object that has a network, and calls it."""

    shared = Net(0.9)

    def __init__(self, net=None):
        if net is not None:
            self.net = net

    def denoised(self, x, sigma):
        return self.net(x, sigma)

    __call__ = denoised


def of_object():
    holder = Holder(Net())
    return lambda x, s: holder.net(x, s), {"holder.net": 1, "holder.shared": 1}


def of_class():
    holder = Holder()
    return lambda x, s: holder.shared(x, s), {"holder.shared": 1}


def of_function():
    net = Net()

    def inner(x, s):
        return net(x, s)

    return lambda x, s: inner(x, s), {"inner.net": 1}


def of_rows():
    rows, named, second = [Net()], {"b": Net()}, (Net(),)
    return lambda x, s: (rows[0](x, s) + named["b"](x, s) + second[0](x, s)) / 3, {
        "named.b": 1,
        "rows.0": 1,
        "second.0": 1,
    }


def of_both():
    net, holder = Net(), Holder(Net())
    return lambda x, s: (net(x, s) + holder.net(x, s)) / 2, {"net": 1, "holder.net": 1, "holder.shared": 1}


def of_one_by_two_names():
    net = Net()
    holder = Holder(net)
    return lambda x, s: (net(x, s) + holder.net(x, s)) / 2, {"net": 1, "holder.shared": 1}


def of_default():
    net = Net()
    return lambda x, s, n=net: n(x, s), {"0": 1}


def of_decorated():
    net = Net()
    return torch.no_grad()(lambda x, s: net(x, s)), {"func.net": 1}


MADE = of_object, of_class, of_function, of_rows, of_both, of_one_by_two_names, of_default, of_decorated


@pytest.mark.parametrize(
    "function, hashed",
    [
        (Net(), {"": 1}),
        (Net().denoised, {"": 1}),
        (Holder(Net()), {"net": 1, "shared": 1}),
        (Holder(Net()).denoised, {"self.net": 1, "self.shared": 1}),
        (functools.partial(lambda n, x, s: n(x, s), Net()), {"0": 1}),
        (plain, {}),
        *(made() for made in MADE),
    ],
)
def test_networks_are_found_one_step_on(function, hashed):
    prior = prior_from(function, channels=3, **({} if hashed else {"version": "1"}))
    assert prior.hashed == hashed
    assert prior.facts["parameters"] == len(hashed)


def test_a_network_that_an_object_holds_is_part_of_the_hash():
    net, holder = Net(), Holder(Net())
    prior = prior_from(lambda x, s: (net(x, s) + holder.net(x, s)) / 2, channels=3)
    prior.check_unchanged()
    with torch.no_grad():
        holder.net.gain.mul_(0.9)
    with pytest.raises(InputError, match="have changed"):
        prior.check_unchanged()


def test_what_has_no_value_yet_is_not_found():
    def function(x, s):
        return plain(x, s) if s is not None else later(x, s)

    prior = prior_from(function, channels=3, version="1")
    assert prior.hashed == {}
    later = Net()
    assert later is not None
