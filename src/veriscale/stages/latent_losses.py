"""What an autoencoder, and a network over its latents, are trained for."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from veriscale.stages.batches import Batch

DIVERGENCE = 2.5e-5
"""Weight of the divergence per latent: little, so that neighbours in latents are neighbours in pictures."""


class AutoencoderLoss(nn.Module):
    """Squared error of pictures in [−1, 1], and a little of the divergence of latents from N(0, I).

    Source: Kingma, Welling 2014; without the network of others that judges what looks alike, of Rombach et al. 2022.

    Args:
        module: an AutoencoderKL, to be trained.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module: Any = module.requires_grad_(True)

    def forward(self, batch: Batch) -> Tensor:
        """The mean over items and pixels."""
        x = 2 * batch.x - 1
        latents = self.module.encode(x).latent_dist
        mean, log_variance = latents.mean.float(), latents.logvar.float()
        z = mean + (log_variance / 2).exp() * batch.noise
        error = (self.module.decode(z).sample.float() - x).square().mean()
        divergence = (mean.square() + log_variance.exp() - 1 - log_variance).mean() / 2
        loss: Tensor = error + DIVERGENCE * divergence
        return loss


class UnetLoss(nn.Module):
    """Squared error of v = √ᾱ·n − √(1 − ᾱ)·z at every timestep alike.

    Source: Salimans & Ho 2022, section 4 and appendix D.

    Args:
        module: a UNet2DModel, to be trained.
        encode: pictures in [0, 1] -> what it denoises.
        alphas_bar: (T,) of its timesteps.
    """

    def __init__(self, module: nn.Module, encode: Callable[[Tensor], Tensor], alphas_bar: Tensor) -> None:
        super().__init__()
        self.module: Any = module.requires_grad_(True)
        self.encode, self.alphas_bar = encode, alphas_bar

    def forward(self, batch: Batch) -> Tensor:
        """The mean over items and latents."""
        z, n = self.encode(batch.x), batch.noise
        t = (batch.uniform * len(self.alphas_bar)).long().clamp(max=len(self.alphas_bar) - 1)
        share = self.alphas_bar.to(z.device)[t].float().view(-1, 1, 1, 1)
        signal, noise = share.sqrt(), (1 - share).sqrt()
        found = self.module(signal * z + noise * n, t).sample.float()
        loss: Tensor = (found - (signal * n - noise * z)).square().mean()
        return loss
