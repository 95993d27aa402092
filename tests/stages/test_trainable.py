"""What a stage trains: exactly the parameters named change, and a rank fits."""

import copy

import pytest
import torch
from tests.stages.phases import batch, generator, loss_of, named
from torch import nn

from veriscale.errors import InputError
from veriscale.stages.lora import LowRank, matrix_of
from veriscale.stages.recipe import NETWORKS
from veriscale.stages.trainable import count, restrict, trained

MODES = ("all", "decoder", "norm+bias", "lora:2")


def step(loss: nn.Module, network: str) -> None:
    """Two steps over every scale: the first one moves B alone."""
    optimizer = torch.optim.Adam([p for p in loss.parameters() if p.requires_grad], lr=1e-2)
    for _ in range(2):
        for scale in (2, 3, 4):
            loss(batch(scale, network)).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    if isinstance(loss, LowRank):
        loss.merge()


def is_named(name: str, network: str, trainable: str) -> bool:
    """The documents' table, in other words than the library's."""
    features = ".features." in name and name.startswith("encoder.tails")
    if not (name.startswith(network) and not features) and not (features and network == "denoiser"):
        return False
    part = name.split(".")[1]
    return {
        "all": True,
        "decoder": part in ("tails", "up", "grow", "out", "exits"),
        "norm+bias": "modulation" in name or name.endswith("bias"),
        "lora:2": name.endswith("weight") and not any(w in name for w in ("modulation", "embedding")),
    }[trainable]


@pytest.mark.parametrize("trainable", MODES)
@pytest.mark.parametrize("network", NETWORKS)
def test_exactly_what_is_named_changes(networks, network, trainable):
    before = copy.deepcopy(named(networks))
    step(restrict(loss_of(networks, network), networks, network, trainable, generator()), network)
    changed = {n for n, p in named(networks).items() if not torch.equal(p, before[n])}
    expected = {n for n in before if is_named(n, network, trainable)}
    assert expected
    assert changed == expected == trained(networks, network, trainable).keys()


def test_a_phase_after_a_restricted_one_trains_all_again(networks):
    for network in NETWORKS:
        restrict(loss_of(networks, network), networks, network, "lora:1", generator())
    for network in NETWORKS:
        loss = loss_of(networks, network)
        free = {n for n, p in loss.named_parameters() if p.requires_grad}
        assert trained(networks, network, "all").keys() <= free


@pytest.mark.parametrize("network", NETWORKS)
def test_the_number_trained_is_the_number_that_learns(networks, network):
    for trainable in MODES[1:]:
        loss = restrict(loss_of(networks, network), networks, network, trainable, generator())
        learning = sum(p.numel() for p in loss.parameters() if p.requires_grad)
        assert count(networks, network, trainable) == learning > 0
    assert count(networks, network, "lora:2") == 2 * count(networks, network, "lora:1")


def test_numbers_by_hand(networks):
    exits = sum(32 * 8 * s**2 * 9 + 8 * s**2 for s in (2, 3, 4))  # eight thresholds
    assert count(networks, "predictor", "decoder") == exits
    entries = sum(32 + 9 * 7 * s**2 for s in (2, 3, 4))  # three channels and four features come in
    ends = sum(8 * s**2 + 9 * 32 for s in (2, 3, 4))
    assert count(networks, "predictor", "lora:3") == 3 * (entries + ends + 2 * (32 + 9 * 32))


def test_a_narrow_end_takes_the_rank_that_it_has(networks):
    more = {rank: count(networks, "denoiser", f"lora:{rank}") for rank in (12, 13)}
    low = restrict(loss_of(networks, "denoiser"), networks, "denoiser", "lora:13", generator())
    assert sum(p.numel() for p in low.parameters() if p.requires_grad) == more[13]
    out = [b for name, b in zip(low.names, low.pairs[1::2], strict=True) if name == "denoiser.out.weight"]
    assert [tuple(b.shape) for b in out] == [(12, 12)]  # three channels times the stem's square
    assert more[13] - more[12] < sum(sum(matrix_of(p)) for p in trained(networks, "denoiser", "lora:12").values())


@pytest.mark.parametrize("network", NETWORKS)
def test_a_rank_beyond_every_layer_is_refused(networks, network):
    widest = max(min(matrix_of(p)) for p in trained(networks, network, "lora:1").values())
    assert count(networks, network, f"lora:{widest}") > 0
    words = rf"Rank {widest + 1} .* larger than any convolution of the {network}'s phase: .* is a matrix of "
    with pytest.raises(InputError, match=words + rf".*so that {widest} is the largest"):
        count(networks, network, f"lora:{widest + 1}")
