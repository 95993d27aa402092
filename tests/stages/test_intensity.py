"""What the unconditional mode of a prior is centred on, in sampling too."""

from dataclasses import replace

import msgspec
import pytest
import torch
from tests.stages.test_losses import batch, loss

from veriscale.diffusion.card import Data
from veriscale.diffusion.prior import TrainedPrior
from veriscale.imaging.normalisation import SCAN
from veriscale.physics.data_term import DataTerm
from veriscale.physics.measurement_noise import GaussianNoise
from veriscale.physics.registry import parse_operator
from veriscale.stages.consistency import measured, zero_shot_anchor
from veriscale.stages.data import PictureSet
from veriscale.stages.intensity import mean_of

LOW = 0.2  # the mean of a prior of scans


def about(prior: TrainedPrior, mean: float) -> TrainedPrior:
    return replace(prior, card=msgspec.structs.replace(prior.card, mean=mean))


def test_the_mean_is_that_of_all_values_of_scans_and_half_of_photographs():
    images = [torch.full((1, 2, 2), 10, dtype=torch.uint8), torch.full((1, 4, 4), 60, dtype=torch.uint8)]
    pictures = PictureSet(images, ["a", "b"], Data("x/*", 2, "0" * 64, "CC0"))
    assert mean_of(pictures) == 0.5
    assert mean_of(replace(pictures, normalisation=SCAN)) == pytest.approx((4 * 10 + 16 * 60) / 20 / 255)


def test_a_shifted_prior_denoises_shifted_pictures(tiny):
    x = torch.rand(1, 3, 16, 16)
    shifted = about(tiny, LOW).denoise(x - 0.3, 0.1) + 0.3
    torch.testing.assert_close(shifted, tiny.denoise(x, 0.1), rtol=0, atol=1e-5)
    assert not torch.allclose(tiny.denoise(x - 0.3, 0.1) + 0.3, tiny.denoise(x, 0.1), atol=1e-3)


@pytest.mark.parametrize("text", ["downsample:factor=4,kernel=box", "sensing:ratio=0.5"])
def test_a_shifted_prior_has_shifted_anchors(tiny, text):
    """`fast` begins at the mean, which is seen where the noise leaves much of it."""
    operator = parse_operator(text)
    x = torch.rand(1, 3, 16, 16)
    anchors = []
    for prior, shift in ((tiny, 0.0), (about(tiny, LOW), 0.3)):
        data = DataTerm(operator, operator.forward(x - shift), GaussianNoise(0.3))
        anchors.append(zero_shot_anchor(prior, data) + shift)
    torch.testing.assert_close(anchors[1], anchors[0], rtol=0, atol=1e-5)


class Gaussian(TrainedPrior):
    """White, of standard deviation 0.2 about the card's mean: its denoiser is known."""

    def denoise(self, x, sigma):
        return self.card.mean + 0.04 / (0.04 + sigma**2) * (x - self.card.mean)


@pytest.mark.parametrize("text", ["blur:kernel=gaussian,std=1.5", "inpaint:keep=0.5", "downsample:factor=2,kernel=box"])
def test_the_anchor_of_a_gaussian_about_another_mean_is_the_posteriors(tiny, text):
    """E[x | y] = μ + sAᵀ(sAAᵀ + ν²)⁻¹(y − Aμ), of variance s."""
    side, noise_std = 12, 0.05
    exact = {"sigma_data": [0.2], "high": 0.9, "low": 0.0, "trust": 1.0, "mask_trust": 1.0, "sigma_max": 10.0}
    mode = msgspec.structs.replace(tiny.card.modes[0], **exact)
    card = msgspec.structs.replace(about(tiny, LOW).card, modes=[mode, *tiny.card.modes[1:]])
    operator = parse_operator(text)
    x = LOW + 0.2 * torch.randn(1, 1, side, side, generator=torch.Generator().manual_seed(0))
    y = measured(operator, x, noise_std, stored=False)
    anchor = zero_shot_anchor(
        Gaussian(card, tiny.encoder, tiny.denoiser), DataTerm(operator, y, GaussianNoise(noise_std))
    )

    unit = torch.eye(side**2).view(-1, 1, side, side)
    a = torch.stack([operator.forward(e[None]).flatten() for e in unit], 1).double()
    spread = 0.04 * a @ a.T + noise_std**2 * torch.eye(len(a), dtype=torch.float64)
    off = y.double().flatten() - LOW * a.sum(1)
    expected = LOW + 0.04 * a.T @ torch.linalg.solve(spread, off)
    torch.testing.assert_close(anchor.double().flatten(), expected, rtol=0, atol=1e-5)


def test_training_and_sampling_have_one_mean(tiny):
    """What the loss denoises about a mean is what the prior does: the error of one is the loss of the other."""
    every, built = batch([True, True]), loss(tiny, free=True, mean=LOW)
    sigma_data = built.sigma_data[0][0]
    mode = msgspec.structs.replace(tiny.card.modes[0], sigma_data=[sigma_data])
    card = msgspec.structs.replace(tiny.card, modes=[mode, *tiny.card.modes[1:]], mean=LOW)
    prior = TrainedPrior(card, built.encoder, built.denoiser)
    z = 2**0.5 * torch.erfinv(2 * every.uniform - 1)[0].item()
    sigma = sigma_data * torch.tensor(built.density[False][0] + built.density[False][1] * z).exp().item()
    with torch.no_grad():
        error = (prior.denoise(every.x + sigma * every.noise, sigma) - every.x).square().mean().item()
        expected = built(every).item()
    weight = (sigma**2 + sigma_data**2) / (sigma * sigma_data) ** 2
    assert weight * error == pytest.approx(expected, rel=1e-4)


def test_cards_from_before_relaxation_keep_their_hash(tiny):
    """Certificates hold it, so it is stated here as it was; another relaxation is another card, where it is used."""
    card = tiny.card
    assert [card.deciding_sha256(s)[:12] for s in (0, 4)] == ["b8dade358e48", "6d12b55a301d"]
    for name in ("relaxation", "mask_relaxation"):
        relaxed = msgspec.structs.replace(card, modes=[msgspec.structs.replace(card.modes[0], **{name: 0.5})])
        assert relaxed.deciding_sha256(0) != card.deciding_sha256(0)


def test_the_mean_decides_pictures_of_the_unconditional_mode_alone(tiny):
    card = tiny.card
    scans = about(tiny, LOW).card
    assert scans.deciding_sha256(4) == card.deciding_sha256(4)
    assert scans.deciding_sha256(0) != card.deciding_sha256(0)
    lineage = msgspec.structs.replace(card, lineage=[], normalisation="scan: any")
    assert [lineage.deciding_sha256(s) for s in (0, 4)] == [card.deciding_sha256(s) for s in (0, 4)]
