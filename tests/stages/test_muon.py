"""Orthogonalised momentum: what an update is, what it is applied to, and that a state brings it back."""

import pytest
import torch

from veriscale.diffusion.prior import build
from veriscale.stages.average import MovingAverage
from veriscale.stages.losses import EncoderLoss
from veriscale.stages.muon import Muon, block_convolutions, orthogonalised
from veriscale.stages.state import load_optimiser, save_state


def matrices(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("shape", [(5, 64, 576), (3, 32, 288), (2, 128, 1152), (2, 576, 64)])
def test_an_update_is_nearly_orthogonal(shape):
    values = torch.linalg.svdvals(orthogonalised(matrices(*shape)))
    assert values.min() > 0.65
    assert values.max() < 1.25
    assert torch.linalg.svdvals(matrices(*shape)).div(shape[-1] ** 0.5).std() > 0.1  # and was not before


def test_an_update_keeps_the_singular_vectors():
    u, s, vh = torch.linalg.svd(matrices(1, 32, 288), full_matrices=False)
    inner = u.mT @ orthogonalised(u @ torch.diag_embed(s) @ vh) @ vh.mT
    assert inner.diagonal(dim1=-2, dim2=-1).min() > 0.65
    assert (inner - torch.diag_embed(inner.diagonal(dim1=-2, dim2=-1))).abs().max() < 0.03


def test_convolutions_of_residual_blocks_are_orthogonalised_and_nothing_else(tiny):
    encoder, denoiser, _ = build(tiny.card.network)
    names = {id(p): n for n, p in [*encoder.named_parameters(), *denoiser.named_parameters()]}
    for network, blocks in ((encoder, (".first.weight", ".second.weight")), (denoiser, (".first.weight",))):
        chosen = {names[id(p)] for p in block_convolutions(network)}
        assert chosen == {n for n, p in network.named_parameters() if n.endswith((*blocks, ".second.weight"))}
        assert chosen
    encoder.trunk.requires_grad_(False)
    assert not any(names[id(p)].startswith("trunk") for p in block_convolutions(encoder))


def test_an_update_is_as_large_as_one_of_adam(tiny):
    encoder = build(tiny.card.network).encoder
    weight = block_convolutions(encoder)[0]
    optimizer = Muon(encoder, lr=1e-3, adam_lr=1e-3)
    before = weight.detach().clone()
    weight.grad = matrices(*weight.shape)
    optimizer.step()
    assert float((weight.detach() - before).square().mean().sqrt()) == pytest.approx(0.2e-3, rel=0.25)
    others = [p for p in encoder.parameters() if p is not weight]
    assert all(p.grad is None and not optimizer.state[p] for p in others)  # without a gradient nothing moves


def steps(loss: EncoderLoss, optimizer: torch.optim.Optimizer, count: int, first: int = 0) -> list[float]:
    """Learn to enlarge one random picture."""
    y = torch.rand(2, 3, 12, 12, generator=torch.Generator().manual_seed(1))
    x = torch.nn.functional.interpolate(y, scale_factor=4, mode="bicubic")
    values = []
    for _ in range(first, first + count):
        value = ((loss.encoder(y, 4, torch.zeros(2)).mean - x) / 0.25).square().mean()
        value.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        values.append(value.item())
    return values


def test_it_learns(tiny):
    torch.manual_seed(0)
    loss = EncoderLoss(build(tiny.card.network).encoder)
    values = steps(loss, Muon(loss, lr=1e-3, adam_lr=1e-3), 60)
    assert values[-1] < 0.3 * values[0]


def test_a_state_brings_it_back_to_the_last_bit(tiny, tmp_path):
    torch.manual_seed(0)
    loss = EncoderLoss(build(tiny.card.network).encoder)
    optimizer, average = Muon(loss, lr=1e-3, adam_lr=1e-3), MovingAverage(loss, 0.9)
    steps(loss, optimizer, 3)
    average.update(2)
    save_state(tmp_path / "s.safetensors", {"encoder": loss.encoder}, optimizer, average, {})
    other = EncoderLoss(build(tiny.card.network).encoder)
    other.load_state_dict(loss.state_dict())
    fresh, copied = Muon(other, lr=1e-3, adam_lr=1e-3), MovingAverage(other, 0.9)
    load_optimiser(tmp_path / "s.safetensors", fresh, copied)
    for p, q in zip(loss.parameters(), other.parameters(), strict=True):
        one, two = optimizer.state[p], fresh.state[q]
        assert one.keys() == two.keys()
        assert all(torch.equal(one[k], two[k]) for k in one)
    assert steps(loss, optimizer, 3, 3) == steps(other, fresh, 3, 3)
    for one, two in zip(loss.parameters(), other.parameters(), strict=True):
        assert torch.equal(one, two)
