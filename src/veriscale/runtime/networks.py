"""The encoder and the denoiser over pictures of any size, tile by tile, as one evaluation of the whole."""

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from veriscale.diffusion.encoder import Condition
from veriscale.diffusion.prior import Prior, denoise_residual, denoiser_input
from veriscale.imaging.canvas import canvas
from veriscale.imaging.tiles import Tile, tiles

TILE = 1536  # truth pixels a side
ENCODER_TILE = 1024  # likewise: above it, activations outgrow what the allocator reuses, and time doubles
# Measurement pixels around a tile of the encoder. Its receptive field reaches farther, but with the prior `photo` a
# halo of 16 already leaves the core within 1e-6 of the whole (tests/runtime/test_networks.py).
ENCODER_HALO = 20


def padding(prior: Prior, height: int, width: int, scale: int) -> tuple[int, int]:
    """Rows and columns to add to a measurement so that its truth grid fits the denoiser's stride."""
    multiple = prior.denoiser.stride // math.gcd(prior.denoiser.stride, scale)
    return -height % multiple, -width % multiple


@torch.inference_mode()
def encode(
    prior: Prior,
    y: Tensor,
    scale: int,
    noise_std: float,
    *,
    features: bool,
    tile: int = TILE,
    tell: Callable[[int, int], None] = lambda done, of: None,
) -> Condition:
    """Encode one measurement.

    Args:
        prior: on its device.
        y: (1, C, h, w), float32, [0, 1], on the CPU.
        scale: one the prior knows.
        noise_std: of the measurement.
        features: whether the denoiser will run; without it they are not kept.
        tile: side of a tile's core in truth pixels.
        tell: called with the tiles done, and their number.

    Returns:
        Mean (1, C, H, W) and features (1, F, H, W; F = 0 when not asked), float32 on the CPU; memory-mapped when large.
    """
    height, width = y.shape[-2] * scale, y.shape[-1] * scale
    mean = torch.from_numpy(canvas((y.shape[1], height, width)))[None]
    count = prior.card.network.encoder.features if features else 0
    kept = torch.from_numpy(canvas((count, height, width)))[None] if features else mean[:, :0]
    std = torch.tensor([noise_std], device=prior.device)
    halo = min(ENCODER_HALO, prior.encoder.receptive_radius)
    parts = tiles(y.shape[-2], y.shape[-1], max(1, min(tile, ENCODER_TILE) // scale), halo)
    for number, part in enumerate(parts, start=1):
        condition = prior.encoder(y[(..., *part.window)].to(prior.device), scale, std)
        fine = part.scaled(scale)
        mean[(..., *fine.core)] = condition.mean[(..., *fine.inside)].float().cpu()
        if features:
            kept[(..., *fine.core)] = condition.features[(..., *fine.inside)].float().cpu()
        tell(number, len(parts))
    return Condition(mean, kept)


class ConditionalDenoiser:
    """(x, sigma) -> E[x0 | x, y] over a whole picture: the posterior denoiser of a conditional prior.

    Args:
        prior: on its device.
        condition: of `encode`, with features, (1, …, H, W) or one per item of the batch.
        scale: of the measurement.
        noise_std: of the measurement.
        tile: side of a tile's core in truth pixels.
    """

    def __init__(self, prior: Prior, condition: Condition, scale: int, noise_std: float, tile: int = TILE) -> None:
        self.prior = prior
        self.condition = condition
        self.sigma_data = prior.mode(scale).sigma_data_at(noise_std)
        self.level_ratio = prior.mode(scale).level_ratio
        self.mode = prior.mode_index(scale)
        self.noise_std = noise_std
        self.tile = tile

    @torch.inference_mode()
    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        """(B, C, H, W) float32 on the CPU in and out."""
        out = torch.empty_like(x)
        device = self.prior.device
        b = len(x)

        def filled(value: float) -> Tensor:
            return torch.full((b,), value, device=device)

        for part in self._tiles(x):
            near = Condition(*(t[(..., *part.window)].to(device) for t in self.condition))
            residual = x[(..., *part.window)].to(device) - near.mean
            denoised = denoise_residual(
                self.prior.denoiser,
                residual,
                filled(sigma * self.level_ratio),
                filled(self.sigma_data),
                denoiser_input(near).expand(b, -1, -1, -1),
                torch.full((b,), self.mode, device=device),
                filled(self.noise_std),
            )
            out[(..., *part.core)] = (near.mean + denoised)[(..., *part.inside)].cpu()
        return out

    def _tiles(self, x: Tensor) -> Iterator[Tile]:
        network = self.prior.denoiser
        size = max(network.stride, self.tile // network.stride * network.stride)
        return iter(tiles(x.shape[-2], x.shape[-1], size, network.receptive_radius, network.stride))
