"""Where a method turns the picture or cuts a volume into pictures, the guides are turned and cut with it."""

import dataclasses
from dataclasses import dataclass

import pytest
import torch
from msgspec.structs import replace
from tests.guides.toys import NAMES

from veriscale.diffusion.noise_field import NoiseField
from veriscale.guides.guided_prior import GuidedPrior
from veriscale.physics.downsample import Downsample
from veriscale.physics.measurement_noise import GaussianNoise
from veriscale.physics.slice_profile import SliceProfile
from veriscale.runtime.networks import Correction
from veriscale.traversal.conditional import Conditional, turned
from veriscale.traversal.method import Work
from veriscale.traversal.zero_shot import ZeroShot

FIELD = NoiseField(0, "0")


def rand(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


@dataclass(frozen=True)
class Echo(GuidedPrior):
    """Its answer is its first guide."""

    def denoise(self, x: torch.Tensor, sigma: float) -> torch.Tensor:
        return self.pictures[:, :1].expand(x.shape)


@dataclass(frozen=True)
class Corrected(GuidedPrior):
    """Estimates are corrected to its first guide."""

    corrects = True

    def corrected(self, x: torch.Tensor) -> torch.Tensor:
        return self.pictures[:, :1].expand(x.shape)


def echo(prior: GuidedPrior, picture: torch.Tensor, kind: type[GuidedPrior] = Echo) -> GuidedPrior:
    parts = {name: getattr(prior, name) for name in GuidedPrior.__dataclass_fields__}
    return kind(**parts).guided_by({NAMES[0]: picture})


@pytest.mark.parametrize("turn", range(1, 8))
def test_the_mean_over_turns_turns_with_measurement_and_guides(guided, turn):
    """Exactly so, since the eight turns are a group: a guide that stayed as it is would break it."""
    y, pictures = rand(1, 3, 12, 10), {"T1": rand(1, 48, 40), "FLAIR": rand(1, 48, 40, seed=2)}
    found = []
    for prior, measured in (
        (guided.guided_by(pictures), y),
        (guided.guided_by({k: turned(p[None], turn)[0] for k, p in pictures.items()}), turned(y, turn)),
    ):
        problem = Conditional(prior, 4, 0.0, anchor="ensemble").begin(measured, 1, lambda: FIELD, Work(False, 0))
        found.append(problem.anchor)
    torch.testing.assert_close(turned(found[0], turn), found[1], atol=2e-5, rtol=0)


def test_the_mean_over_turns_of_a_picture_that_has_to_be_continued(guided):
    """Guides end where the picture ends, whichever way it lies."""
    y, picture = rand(1, 3, 11, 9), rand(1, 44, 36)
    wide = torch.full((1, 64, 64), torch.nan)
    wide[:, :44, :36] = picture
    anchors = [
        Conditional(guided.guided_by({"T1": each}), 4, 0.0, anchor="ensemble")
        .begin(y, 1, lambda: FIELD, Work(False, 0))
        .anchor
        for each in (picture, wide)
    ]
    assert torch.equal(*anchors)


def test_the_anchor_fast_flips_the_guides_with_the_picture(guided):
    """A denoiser that answers with its guide: the anchor of a measurement of that guide is the guide."""
    truth = rand(1, 3, 24, 20)[:, :1].expand(1, 3, -1, -1)
    operator = Downsample(2)
    method = ZeroShot(echo(guided, truth[:, 0]), operator, GaussianNoise(0.0), (3, 12, 10))
    problem = method.begin(operator.forward(truth), 1, lambda: FIELD, Work(False, 0))
    torch.testing.assert_close(problem.anchor, truth, atol=1e-3, rtol=0)


def test_through_the_plane_both_directions_see_their_own_cut_of_the_guides(guided):
    truth = rand(1, 1, 10, 12, 16).expand(1, 3, -1, -1, -1)
    operator = SliceProfile(2.0, 2.0, 2, 1.0, centred=True)
    method = ZeroShot(echo(guided, truth[:, 0]), operator, GaussianNoise(0.0), (3, 10, 12, 8))
    problem = method.begin(operator.forward(truth), 1, lambda: FIELD, Work(False, 0))
    torch.testing.assert_close(problem.anchor, truth, atol=1e-3, rtol=0)
    drawn = problem.draw([(FIELD, 0)], 0.2)
    torch.testing.assert_close(drawn, truth, atol=1e-2, rtol=0)


def test_through_the_plane_the_anchor_is_found_without_guides_corrected_and_pulled_to_the_data(guided):
    truth, other = (rand(1, 1, 10, 12, 16, seed=k).expand(1, 3, -1, -1, -1) for k in (1, 2))
    operator = SliceProfile(2.0, 2.0, 2, 1.0, centred=True)
    y = operator.forward(truth)

    def anchor(prior: GuidedPrior) -> torch.Tensor:
        method = ZeroShot(prior, operator, GaussianNoise(0.0), (3, 10, 12, 8))
        return method.begin(y, 1, lambda: FIELD, Work(False, 0)).anchor

    torch.testing.assert_close(anchor(echo(guided, truth[:, 0], Corrected)), truth, atol=1e-4, rtol=0)
    found = anchor(echo(guided, other[:, 0], Corrected))
    assert (operator.forward(found) - y).abs().max() < 0.01 < (operator.forward(other) - y).abs().max()
    assert not torch.allclose(found, truth, atol=0.1)
    # what has not learnt it: by its denoiser
    plain, by_denoiser = anchor(guided), anchor(guided.guided_by({NAMES[0]: other[:, 0]}))
    assert not guided.guided_by({NAMES[0]: other[:, 0]}).corrects
    assert not torch.equal(plain, by_denoiser)


def test_guides_that_have_seen_thick_slices_correct_estimates(guided):
    learnt = replace(guided.guide_card, training=[replace(guided.guide_card.training[0], planes="all")])
    prior = dataclasses.replace(guided, guide_card=learnt).guided_by({NAMES[0]: rand(1, 24, 20)})
    x = rand(2, 3, 24, 20, seed=3)
    assert prior.corrects
    thick = ZeroShot(prior, SliceProfile(2.0, 2.0, 2, 1.0), GaussianNoise(0.0), (3, 10, 12, 8))
    assert thick.how == "unconditionally (zero-shot, anchor fast, corrected by guides)"
    assert (prior.corrected(x) - x).abs().max() > 1e-3
    assert not prior.plain.corrects
    assert torch.equal(prior.plain.corrected(x), x)
    halo = prior.receptive_radius
    sides = 2 * halo + 60, halo + 40
    wide = dataclasses.replace(guided, guide_card=learnt).guided_by({NAMES[0]: rand(1, *sides)})
    x = rand(1, 3, *sides, seed=4)
    whole, parts = (Correction(wide, tile)(x, 0.0) for tile in (1536, 32))
    torch.testing.assert_close(whole, parts, atol=1e-5, rtol=0)
