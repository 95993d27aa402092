import pytest
import torch

from veriscale.diffusion.denoiser import Denoiser
from veriscale.diffusion.encoder import Encoder


def perturbed(network: torch.nn.Module) -> torch.nn.Module:
    torch.manual_seed(0)
    with torch.no_grad():
        for p in network.parameters():
            p.add_(0.05 * torch.randn_like(p))
    return network.double().eval().requires_grad_(False)


@pytest.fixture(scope="module")
def encoder():
    return perturbed(Encoder(3, (2, 3, 4), 16, 2, 4))


@pytest.fixture(scope="module")
def denoiser():
    return perturbed(Denoiser(3, 4, 4, (16, 16), (1, 1), 2))


def call(denoiser: Denoiser, x: torch.Tensor, c_noise: float = -0.3, mode: int = 1) -> torch.Tensor:
    b = len(x)
    seen = torch.zeros(b, 7, *x.shape[-2:], dtype=x.dtype)
    return denoiser(x, seen, torch.full((b,), c_noise), torch.full((b,), mode), torch.zeros(b, dtype=x.dtype))


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_encoder_gives_the_truth_grid(encoder, scale):
    condition = encoder(torch.rand(2, 3, 7, 5, dtype=torch.float64), scale, torch.zeros(2, dtype=torch.float64))
    assert condition.mean.shape == (2, 3, 7 * scale, 5 * scale)
    assert condition.features.shape == (2, 4, 7 * scale, 5 * scale)


def test_features_that_nobody_wants_are_not_made(encoder, monkeypatch):
    y, std = torch.rand(1, 3, 7, 5, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    mean = encoder(y, 2, std).mean
    monkeypatch.setattr(encoder.tails["2"].features, "forward", None)
    condition = encoder(y, 2, std, features=False)
    assert torch.equal(condition.mean, mean)
    assert condition.features.shape == (1, 0, 14, 10)


def test_a_fresh_encoder_repeats_pixels():
    y = torch.rand(1, 3, 6, 6)
    mean = Encoder(3, (2,), 16, 1, 4)(y, 2, torch.zeros(1)).mean
    assert torch.equal(mean, y.repeat_interleave(2, 2).repeat_interleave(2, 3))


def reach(output: torch.Tensor, changed: torch.Tensor, where: int) -> int:
    """Farthest row at which two outputs differ, from row `where`."""
    rows = (output - changed).abs().amax((0, 1, 3)).nonzero().flatten()
    return int((rows - where).abs().max())


def test_encoder_sees_no_farther_than_its_receptive_radius(encoder):
    y = torch.rand(1, 3, 61, 61, dtype=torch.float64)
    other = y.clone()
    other[..., 30, 30] += 1
    std = torch.zeros(1, dtype=torch.float64)
    seen = reach(encoder(y, 2, std).mean, encoder(other, 2, std).mean, 60)
    assert 2 * encoder.receptive_radius - 4 <= seen <= 2 * encoder.receptive_radius + 1


def test_denoiser_sees_no_farther_than_its_receptive_radius(denoiser):
    x = torch.rand(1, 3, 128, 128, dtype=torch.float64)
    other = x.clone()
    other[..., 64, 64] += 1
    seen = reach(call(denoiser, x), call(denoiser, other), 64)
    assert denoiser.receptive_radius / 2 < seen <= denoiser.receptive_radius


def test_noise_level_and_mode_matter(denoiser):
    x = torch.rand(1, 3, 16, 16, dtype=torch.float64)
    assert not torch.allclose(call(denoiser, x), call(denoiser, x, c_noise=0.4))
    assert not torch.allclose(call(denoiser, x), call(denoiser, x, mode=0))


def test_items_of_a_batch_do_not_meet(denoiser):
    x = torch.rand(3, 3, 16, 16, dtype=torch.float64)
    torch.testing.assert_close(call(denoiser, x)[1:2], call(denoiser, x[1:2]))


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_a_correction_is_added_before_pixels_are_put_in_order(levels):
    denoiser = perturbed(Denoiser(3, 4, 4, (16,) * levels, (1,) * levels, 2))
    x, seen = torch.rand(2, 3, 16, 24, dtype=torch.float64), torch.zeros(2, 7, 16, 24, dtype=torch.float64)
    rest = x, seen, torch.full((2,), -0.3), torch.full((2,), 1), torch.zeros(2, dtype=torch.float64)
    shapes, added = [], torch.randn(2, 12, 8, 12, dtype=torch.float64)
    plain, other = (
        denoiser(*rest),
        denoiser(*rest, correct=lambda h, e, c: shapes.append((h.shape, e.shape, c)) or added),
    )
    (h, e, c) = shapes[0]
    assert h == (2, 16, 8, 12)  # the finest level
    assert e == (2, 32)
    assert torch.equal(c, rest[2])
    torch.testing.assert_close(other, plain + torch.nn.functional.pixel_shuffle(added, 2))
    assert torch.equal(denoiser(*rest, correct=lambda h, e, c: torch.zeros(())), plain)
