"""What the unconditional share of a batch does to the denoiser's loss."""

import pytest
import torch

from veriscale.diffusion.prior import build
from veriscale.stages.batches import Batch
from veriscale.stages.losses import DenoiserLoss, EncoderLoss


def batch(unconditional: list[bool]) -> Batch:
    g = torch.Generator().manual_seed(0)
    x, noise = torch.rand(2, 3, 16, 16, generator=g), torch.randn(2, 3, 16, 16, generator=g)
    std = torch.zeros(2)
    return Batch(x, torch.rand(2, 3, 12, 12, generator=g), 2, std, torch.tensor(unconditional), std + 0.3, noise)


def loss(tiny, free: bool, mean: float = 0.5) -> DenoiserLoss:
    torch.manual_seed(0)
    encoder, denoiser, _ = build(tiny.card.network)
    torch.nn.init.normal_(denoiser.out.weight, std=0.1)  # it starts at zero, and zero sees nothing
    return DenoiserLoss(encoder, denoiser, [0.0, 0.05], {0: [0.27], 2: [0.1, 0.1]}, margin=2, free=free, mean=mean)


def test_a_free_loss_is_the_loss_of_unconditional_items(tiny):
    every = batch([True, True])
    assert loss(tiny, free=True)(every).item() == loss(tiny, free=False)(every).item()
    assert loss(tiny, free=False)(batch([False, True])).item() != loss(tiny, free=False)(every).item()


def test_a_free_loss_leaves_the_encoder_alone(tiny):
    free = loss(tiny, free=True)
    free(batch([True, True])).backward()
    assert all(p.grad is None for p in free.encoder.parameters())
    assert all(p.grad is not None for p in free.denoiser.parameters())


def test_the_encoder_can_be_taken_up_again(tiny):
    frozen = loss(tiny, free=False).encoder
    assert not any(p.requires_grad for p in frozen.trunk.parameters())
    assert all(p.requires_grad for p in EncoderLoss(frozen).parameters())


def test_the_unconditional_mode_is_about_the_mean(tiny):
    """A shift of the pictures with the mean changes nothing, and of the pictures alone does."""
    every = batch([True, True])
    shifted = every._replace(x=every.x - 0.3)
    expected = loss(tiny, free=True)(every).item()
    assert loss(tiny, free=True, mean=0.2)(shifted).item() == pytest.approx(expected, rel=1e-5)
    assert loss(tiny, free=False, mean=0.2)(shifted).item() == pytest.approx(expected, rel=1e-5)
    assert loss(tiny, free=True)(shifted).item() != pytest.approx(expected, rel=1e-2)
