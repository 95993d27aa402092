"""Where there is no condition, the denoiser's gate knows what the other one finds in an estimate."""

import dataclasses

import pytest
import torch
from msgspec.structs import replace
from tests.guides.conftest import write_guides
from tests.guides.toys import NAMES

from veriscale.diffusion.noise_field import NoiseField
from veriscale.guides.answers import correction_answer, denoiser_answer
from veriscale.guides.guidance import mirrored
from veriscale.guides.guide_file import load_guides
from veriscale.guides.guided_prior import GuidedPrior
from veriscale.physics.measurement_noise import GaussianNoise
from veriscale.physics.slice_profile import SliceProfile
from veriscale.runtime.networks import UnconditionalDenoiser
from veriscale.runtime.two_way import TwoWayDenoiser
from veriscale.traversal.method import Work
from veriscale.traversal.zero_shot import ZeroShot

FIELD = NoiseField(0, "0")


def rand(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def learnt(guided) -> GuidedPrior:
    card = replace(guided.guide_card, training=[replace(guided.guide_card.training[0], planes="all")])
    return dataclasses.replace(guided, guide_card=card)


def test_it_moves_weights_by_what_is_found_in_the_estimate(learnt, pictures):
    prior, x, estimate = learnt.guided_by(pictures), rand(1, 3, 96, 80), rand(1, 3, 96, 80, seed=5)
    found = correction_answer(prior, estimate)
    told, untold = (denoiser_answer(p, x, 0.5, None, 0, 0.0) for p in (prior.about(estimate), prior))
    product = torch.where(found.valid, found.weights * untold.weights, 0)
    expected = product / product.sum(0, keepdim=True).clamp(min=1e-9)
    torch.testing.assert_close(told.weights, expected, atol=1e-4, rtol=0)
    assert (told.weights - untold.weights).abs().max() > 0.02
    denoised = UnconditionalDenoiser(prior.about(estimate))(x, 0.5)
    torch.testing.assert_close(denoised[0], told.estimate, atol=1e-5, rtol=0)


def test_it_is_of_these_guides_alone_and_of_such_as_have_learnt_it(guided, learnt, pictures):
    estimate = rand(1, 3, 96, 80)
    prior = learnt.guided_by(pictures).about(estimate)
    assert prior.estimate is estimate
    assert prior.plain.estimate is None
    assert prior.guided_by(pictures).estimate is None
    assert guided.guided_by(pictures).about(estimate).estimate is None
    assert learnt.about(estimate).estimate is None


def test_another_estimate_takes_its_place(learnt, pictures):
    """Whatever has been asked before, with gradients or without."""
    prior, x = learnt.guided_by(pictures), rand(1, 3, 96, 80)
    first, second = (rand(1, 3, 96, 80, seed=k) for k in (5, 6))
    expected = UnconditionalDenoiser(prior.rearranged(lambda t: t).about(second))(x, 0.5)
    told = prior.about(first)
    with torch.inference_mode():
        assert not torch.allclose(UnconditionalDenoiser(told)(x, 0.5), expected)
    denoised, pull = UnconditionalDenoiser(told.about(second)).pullback(x, 0.5)
    assert torch.equal(denoised, expected)
    assert pull(torch.ones_like(x)).abs().max() > 0
    assert torch.equal(UnconditionalDenoiser(told.about(second))(x, 0.5), expected)


@pytest.mark.parametrize("fusion", ["mean", "learned", "concat"])
def test_static_weights_look_at_none(tiny, tiny_file, pictures, tmp_path, monkeypatch, fusion):
    monkeypatch.setenv("VERISCALE_PRIORS", str(tiny_file.parent))
    path = write_guides(tmp_path / "tiny-guided.safetensors", tiny, planes="all", fusion=fusion)
    prior = load_guides(path, torch.device("cpu"), torch.float32).guided_by(pictures)
    assert prior.corrects
    assert prior.about(rand(1, 3, 96, 80)).estimate is None


def test_beyond_the_edge_it_goes_on_as_its_mirror_image(learnt):
    """Of a picture whose sides are no multiples of the stride, as the guides do."""
    picture, estimate, x = rand(1, 10, 18), rand(1, 3, 10, 18, seed=5), rand(1, 3, 10, 18, seed=6)
    edges = 0, 2, 0, 2
    wide = learnt.guided_by({"T1": mirrored(picture, edges)}).about(mirrored(estimate, edges))
    found = learnt.guided_by({"T1": picture}).about(estimate)
    assert torch.equal(*(UnconditionalDenoiser(prior)(x, 0.5) for prior in (found, wide)))


def test_tiles_see_all_of_it_that_counts(learnt):
    halo = learnt.guided_by({"T1": rand(1, 8, 8)}).about(rand(1, 3, 8, 8)).receptive_radius
    sides = 2 * halo + 60, halo + 40
    prior = learnt.guided_by({name: rand(1, *sides, seed=k) for k, name in enumerate(NAMES)})
    prior, x = prior.about(rand(1, 3, *sides, seed=5)), rand(1, 3, *sides, seed=6)
    whole, parts = (UnconditionalDenoiser(prior, tile)(x, 0.5) for tile in (1536, 32))
    torch.testing.assert_close(whole, parts, atol=1e-5, rtol=0)


def test_of_a_volume_each_picture_sees_its_own_cut(learnt):
    guides, estimate, x = rand(1, 10, 12, 18), rand(1, 3, 10, 12, 18, seed=5), rand(1, 3, 10, 12, 18, seed=6)
    found = TwoWayDenoiser(UnconditionalDenoiser(learnt.guided_by({"T1": guides}).about(estimate)), 2)(x, 0.5)
    each = torch.zeros_like(x)
    for axis in (2, 3):
        for k in range(x.shape[axis]):
            of = learnt.guided_by({"T1": guides.select(axis - 1, k)}).about(estimate.select(axis, k))
            each.select(axis, k).add_(UnconditionalDenoiser(of)(x.select(axis, k), 0.5) / 2)
    torch.testing.assert_close(found, each, atol=1e-5, rtol=0)


def test_draws_through_the_plane_know_the_anchor_that_has_been_corrected(learnt, monkeypatch):
    operator = SliceProfile(2.0, 2.0, 2, 1.0, centred=True)
    y, prior = operator.forward(rand(1, 3, 10, 12, 16)), learnt.guided_by({"T1": rand(1, 10, 12, 16, seed=5)})
    looked_at, about = [], GuidedPrior.about

    def drawn(known: bool) -> torch.Tensor:
        with monkeypatch.context() as patched:
            patched.setattr(GuidedPrior, "about", lambda p, x: looked_at.append(x) or (about(p, x) if known else p))
            method = ZeroShot(prior, operator, GaussianNoise(0.0), (3, 10, 12, 8), steps=4)
            problem = method.begin(y, 1, lambda: FIELD, Work(False, 0))
            return problem.draw([(FIELD, 0)], 0.3)

    with_it, without = drawn(True), drawn(False)
    assert (with_it - without).abs().max() > 1e-4
    unguided = ZeroShot(prior.plain, operator, GaussianNoise(0.0), (3, 10, 12, 8))
    assert torch.equal(looked_at[0], unguided.begin(y, 1, lambda: FIELD, Work(False, 0)).anchor)
