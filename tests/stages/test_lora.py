"""Low-rank updates: nothing at the beginning, and merged what they were unmerged."""

import copy

import pytest
import torch
from tests.stages.phases import batch, generator, loss_of, named

from veriscale.stages.average import MovingAverage
from veriscale.stages.recipe import NETWORKS
from veriscale.stages.trainable import restrict


@pytest.mark.parametrize("network", NETWORKS)
def test_with_b_zero_nothing_changes(networks, network):
    plain = [loss_of(networks, network)(batch(s, network)) for s in (2, 3, 4)]
    low = restrict(loss_of(networks, network), networks, network, "lora:8", generator())
    assert all(torch.equal(low(batch(s, network)), p) for s, p in zip((2, 3, 4), plain, strict=True))
    before = copy.deepcopy(named(networks))
    low.merge()
    assert all(torch.equal(p, before[n]) for n, p in named(networks).items())


@pytest.mark.parametrize("network", NETWORKS)
def test_merged_is_unmerged(networks, network):
    plain = loss_of(networks, network)
    before = [plain(batch(s, network)).item() for s in (2, 3, 4)]
    low = restrict(plain, networks, network, "lora:8", generator())
    with torch.no_grad():
        for pair in low.pairs:
            pair.add_(0.02 * torch.randn(pair.shape, generator=generator()))
    unmerged = [low(batch(s, network)).item() for s in (2, 3, 4)]
    low.merge()
    merged = [plain(batch(s, network)).item() for s in (2, 3, 4)]
    assert merged == pytest.approx(unmerged, rel=1e-5)
    assert unmerged != pytest.approx(before, rel=1e-3)


def test_an_update_is_b_times_a_over_the_matrix_of_the_convolution(networks):
    low = restrict(loss_of(networks, "denoiser"), networks, "denoiser", "lora:2", generator())
    k = low.names.index("denoiser.shrink.0.weight")
    a, b = low.pairs[2 * k], low.pairs[2 * k + 1]
    weight = networks.denoiser.shrink[0].weight.detach().clone()
    with torch.no_grad():
        b.normal_(generator=generator())
    low.merge()
    expected = torch.zeros_like(weight)
    for r in range(2):
        for out in range(weight.shape[0]):
            expected[out] += b[out, r] * a[r].view(weight.shape[1:])
    assert torch.allclose(networks.denoiser.shrink[0].weight - weight, expected.detach(), atol=1e-6)
    assert float(a.detach().std()) == pytest.approx(a.shape[1] ** -0.5, rel=0.15)


def test_the_first_a_is_drawn_by_its_generator_alone(networks):
    torch.manual_seed(1)
    one = restrict(loss_of(networks, "encoder"), networks, "encoder", "lora:2", generator())
    torch.manual_seed(2)
    same = restrict(loss_of(networks, "encoder"), networks, "encoder", "lora:2", generator())
    other = restrict(loss_of(networks, "encoder"), networks, "encoder", "lora:2", torch.Generator().manual_seed(1))
    assert all(torch.equal(p, q) for p, q in zip(one.pairs, same.pairs, strict=True))
    assert not torch.equal(one.pairs[0], other.pairs[0])


def test_the_average_is_of_a_and_b_and_is_merged_after(networks):
    low = restrict(loss_of(networks, "predictor"), networks, "predictor", "lora:2", generator())
    weight = networks.predictor.trunk[0].first.weight
    before = weight.detach().clone()
    average = MovingAverage(low, 0.5)
    with torch.no_grad():
        for pair in low.pairs:
            pair.add_(1.0)
    for step in range(5):
        average.update(step)
    k = low.names.index("predictor.trunk.0.first.weight")
    a, b = average.average[2 * k], average.average[2 * k + 1]
    average.copy_into_module()
    low.merge()
    assert torch.equal(weight, before + (b @ a).view(weight.shape))
