"""Laws of inheritance: a folded network is its parent on grey pictures, and scales go by their factor."""

import msgspec
import pytest
import torch
from tests.conftest import write_tiny
from torch import Tensor

from veriscale.diffusion.checkpoint import load_checkpoint
from veriscale.diffusion.encoder import Condition
from veriscale.diffusion.prior import Networks, build
from veriscale.stages.inheritance import Parent, inherit

SCALES = 2, 3, 4
CLOSE = {"rtol": 1e-5, "atol": 1e-5}


@pytest.fixture(scope="module")
def parent(tmp_path_factory):
    """An RGB prior of random weights, none of them zero: (its file's card and path, its networks)."""
    path = write_tiny(tmp_path_factory.mktemp("parent") / "rgb.safetensors")
    prior = load_checkpoint(path, torch.device("cpu"), torch.float32)
    assert all(bool(p.any()) for p in prior.denoiser.out.parameters())
    return Parent(prior.card, path), Networks(prior.encoder, prior.denoiser, prior.predictor)


def child(parent: Parent, channels: int = 1, scales: tuple[int, ...] = SCALES) -> Networks:
    torch.manual_seed(1)
    network = msgspec.structs.replace(parent.card.network, channels=channels, scales=list(scales))
    networks = build(network)
    inherit(parent, networks, network)
    return Networks(*(part.requires_grad_(False).eval() for part in networks))


def thrice(x: Tensor) -> Tensor:
    return x.expand(-1, 3, -1, -1)


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("scale", SCALES)
def test_a_folded_encoder_is_the_mean_over_rgb(parent, scale):
    y, std = 0.5 + 0.2 * noise(2, 1, 9, 7), torch.tensor([0.0, 0.04])
    rgb = parent[1].encoder(thrice(y), scale, std)
    grey = child(parent[0]).encoder(y, scale, std)
    assert not torch.allclose(rgb.mean[:, :1], rgb.mean.mean(1, True), **CLOSE)  # the channels differ
    torch.testing.assert_close(grey.mean, rgb.mean.mean(1, keepdim=True), **CLOSE)
    torch.testing.assert_close(grey.features, rgb.features, **CLOSE)


@pytest.mark.parametrize("mode", range(4))
def test_a_folded_denoiser_is_the_mean_over_rgb(parent, mode):
    x, mean, features = noise(2, 1, 16, 24), noise(2, 1, 16, 24).flip(-1), noise(2, 4, 16, 24)
    told = torch.tensor([-0.4, 0.3]), torch.tensor([mode, mode]), torch.tensor([0.0, 0.05])
    rgb = parent[1].denoiser(thrice(x), torch.cat([thrice(mean), features], 1), *told)
    grey = child(parent[0]).denoiser(x, torch.cat([mean, features], 1), *told)
    assert not torch.allclose(rgb[:, :1], rgb.mean(1, True), **CLOSE)
    torch.testing.assert_close(grey, rgb.mean(1, keepdim=True), **CLOSE)


@pytest.mark.parametrize("scale", SCALES)
def test_a_folded_predictor_tells_the_same(parent, scale):
    mean, features = 0.5 + 0.2 * noise(1, 1, 24, 36), noise(1, 4, 24, 36)
    rgb = parent[1].predictor(Condition(thrice(mean), features), scale)
    grey = child(parent[0]).predictor(Condition(mean, features), scale)
    assert float(grey.std()) > 0.01
    torch.testing.assert_close(grey, rgb, **CLOSE)


@pytest.mark.parametrize("scales", [(4, 2), (3,), (8, 4, 3, 2)])
def test_scales_are_dropped_added_and_reordered(parent, scales):
    """What a child has of its parent's scales is the same to the last bit, and what it adds is fresh."""
    theirs, ours = parent[1], child(parent[0], 3, scales)
    y, std = torch.rand(1, 3, 8, 8), torch.tensor([0.02])
    x, seen, level = noise(1, 3, 16, 16), noise(1, 7, 16, 16), torch.tensor([0.1])
    known = [s for s in scales if s in SCALES]
    for scale in (0, *known):
        here = torch.tensor([scales.index(scale) + 1 if scale else 0])
        there = torch.tensor([SCALES.index(scale) + 1 if scale else 0])
        assert torch.equal(ours.denoiser(x, seen, level, here, std), theirs.denoiser(x, seen, level, there, std))
    for scale in known:
        condition, expected = ours.encoder(y, scale, std), theirs.encoder(y, scale, std)
        assert torch.equal(condition.mean, expected.mean)
        assert torch.equal(condition.features, expected.features)
        assert torch.equal(ours.predictor(expected, scale), theirs.predictor(expected, scale))
    assert set(ours.encoder.heads) == set(ours.predictor.entries) == {str(s) for s in scales}
    for scale in set(scales) - set(known):
        assert not ours.encoder.tails[str(scale)].mean.weight.any()  # as every fresh one begins


def test_only_the_recipe_s_networks_are_there(parent):
    network = msgspec.structs.replace(parent[0].card.network, predictor=None)
    networks = build(network)
    inherit(parent[0], networks, network)
    assert networks.predictor is None
    for a, b in zip(networks.denoiser.parameters(), parent[1].denoiser.parameters(), strict=True):
        assert torch.equal(a, b)
