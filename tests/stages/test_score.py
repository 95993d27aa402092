"""What weights are worth on held-out pictures: lower where they are better, and what finding it may cost."""

import copy
from dataclasses import replace

import pytest
import torch
from tests.stages.phases import generator, loss_of, named
from tests.stages.scans import blobs

from veriscale.diffusion.card import Budget, Card, Data, DenoiserArguments, EncoderArguments, Network
from veriscale.diffusion.prior import TrainedPrior, build
from veriscale.imaging.normalisation import SCAN
from veriscale.stages import score
from veriscale.stages.data import PictureSet
from veriscale.stages.held_out import held_out, measure_modes
from veriscale.stages.recipe import Phase
from veriscale.stages.score import SHARE, Score, crps_of_draws, error_at_dial_0
from veriscale.stages.trainable import restrict

NETWORK = Network(
    1, [2, 4], EncoderArguments(width=32, depth=1, features=4), DenoiserArguments(width=[32, 32], depth=[1, 1], stem=2)
)


def slices(count: int = 12) -> PictureSet:
    pixels = torch.from_numpy(blobs((64, 64, count + 2)) / 1000 * 255).to(torch.uint8).permute(2, 0, 1)[2:, None]
    names = [f"a#{k}" for k in range(count)]
    return PictureSet(
        list(pixels), names, Data("*", 1, "0" * 64, "CC0"), ["a"] * count, ["a"] * count, SCAN, largest=64
    )


def prior_with(factor: float) -> TrainedPrior:
    """Draws are the mean and white noise of `factor` times the spread of the residual: a fresh network adds nothing."""
    torch.manual_seed(0)
    encoder, denoiser, _ = build(NETWORK)
    modes = measure_modes(encoder, slices())
    for mode in modes:
        mode.sigma_data[:] = [factor * s for s in mode.sigma_data]
    return TrainedPrior(Card("", NETWORK, modes, [], [], Budget(0, 0, 0.0, "")), encoder, denoiser)


def test_the_error_is_that_of_dial_0():
    encoder = prior_with(1).encoder
    few = slices().at([0, 2, 3, 5, 6, 8, 9, 11])
    errors = []
    for scale in (2, 4):
        x, condition = held_out(encoder, few, scale, 0.0, 64)
        errors.append(float((condition.mean - x).square().mean()))
    assert error_at_dial_0(encoder, slices()).find() == pytest.approx(sum(errors) / 2, rel=1e-6)


def test_draws_that_vary_as_they_err_have_the_lowest_crps():
    found = {factor: crps_of_draws(prior_with(factor), slices()).find() for factor in (0.2, 1.0, 4.0)}
    assert found[1.0] < 0.95 * min(found[0.2], found[4.0])


def test_a_score_is_the_same_at_every_call_and_changes_nothing():
    prior = prior_with(1)
    before = copy.deepcopy([prior.encoder.state_dict(), prior.denoiser.state_dict()])
    torch.manual_seed(1)
    state = torch.get_rng_state()
    for one in (error_at_dial_0(prior.encoder, slices()), crps_of_draws(prior, slices())):
        assert one.find() == one.find()
    assert torch.equal(torch.get_rng_state(), state)
    for own, now in zip(before, (prior.encoder.state_dict(), prior.denoiser.state_dict()), strict=True):
        assert all(torch.equal(v, now[k]) for k, v in own.items())


def test_low_rank_updates_are_scored_merged(networks):
    loss = restrict(loss_of(networks, "encoder"), networks, "encoder", "lora:2", generator())
    with torch.no_grad():
        for pair in loss.pairs:
            pair.add_(0.02 * torch.randn(pair.shape, generator=generator()))
    colour = replace(slices(), images=[i.expand(3, -1, -1) for i in slices().images], largest=60)
    plain = error_at_dial_0(networks.encoder, colour)
    before, unmerged = copy.deepcopy(named(networks)), plain.find()
    merged = plain.merged(loss).find()
    assert all(torch.equal(p, before[n]) for n, p in named(networks).items())
    loss.merge()
    assert plain.find() == merged != pytest.approx(unmerged, rel=1e-4)


def test_scores_take_at_most_their_share_of_the_work():
    phase = Phase(steps=1, batch=2, patch=8)
    step = 3 * 2 * 8**2
    for pixels in (1, 64, 1000, 12345):
        every = Score(float, pixels).every(phase)
        assert pixels / (pixels + every * step) <= SHARE
        assert every == 1 or pixels / (pixels + (every - 1) * step) > SHARE


def test_work_is_the_pixels_that_a_network_sees(monkeypatch):
    prior, seen = prior_with(1), []
    prior.denoiser.register_forward_pre_hook(lambda module, given: seen.append(given[0].numel()))
    one = crps_of_draws(prior, slices())
    one.find()
    assert sum(seen) == one.pixels
    seen.clear()
    prior.encoder.register_forward_pre_hook(lambda module, given: seen.append(given[0].numel()))
    two = error_at_dial_0(prior.encoder, slices())
    two.find()
    assert two.pixels <= sum(seen) <= 1.3 * two.pixels  # without the kernel's reach
    monkeypatch.setattr(score, "PICTURES", 4)
    assert crps_of_draws(prior, slices()).pixels == one.pixels / 2
