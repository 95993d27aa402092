"""Held-out pictures as the measurements at the end of training see them."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from veriscale.diffusion.card import MEAN, Mode
from veriscale.diffusion.encoder import Condition, Encoder
from veriscale.physics.downsample import downsample_interior
from veriscale.stages.batches import quantise
from veriscale.stages.border import continued
from veriscale.stages.data import PictureSet

CROP = 160  # truth pixels
KNOTS = (0.0, 0.0125, 0.025, 0.05)  # measurement noise at which statistics are measured
MARGIN = 12  # measurement pixels of context around a crop


class HeldOut(NamedTuple):
    """Centre crops of all pictures under one degradation."""

    x: Tensor  # (N, C, side, side) truth, on the CPU
    condition: Condition  # on the same crops


def centre_crop(image: Tensor, side: int) -> Tensor:
    """(C, side, side) from the middle of (C, H, W), padded symmetrically where the picture is smaller."""
    lack = [max(0, side - n) for n in image.shape[-2:]]
    if any(lack):
        pad = [lack[1] // 2, lack[1] - lack[1] // 2, lack[0] // 2, lack[0] - lack[0] // 2]
        image = F.pad(image[None].float(), pad, mode="reflect")[0]
    top, left = _centre(image, side)
    return image[:, top : top + side, left : left + side]


def _centre(image: Tensor, side: int) -> tuple[int, int]:
    top, left = ((n - side) // 2 for n in image.shape[-2:])
    return top, left


def crop_side(photographs: PictureSet, side: int) -> int:
    """The side of crops: `side`, or of small slices what they hold."""
    return side if photographs.largest is None else min(side, photographs.largest)


def crops(photographs: PictureSet, side: int) -> Tensor:
    """The centres of all pictures, (N, C, side, side) of `crop_side`, on the CPU."""
    side = crop_side(photographs, side)
    return torch.stack([centre_crop(i, side).float().cpu() / 255 for i in photographs.images])


@torch.no_grad()
def held_out(encoder: Encoder, photographs: PictureSet, scale: int, noise_std: float, side: int = CROP) -> HeldOut:
    """Degrade and encode the centre of every picture, with a margin, and cut the margin off.

    A margin beyond the edge of a photograph is its reflection; of a slice it is what a measurement of it would have.
    """
    side = crop_side(photographs, side)
    context = -(-side // scale) + 2 * MARGIN
    whole_side = (context + 4) * scale
    if photographs.stored:
        wide = [centre_crop(i, whole_side) for i in photographs.images]
    else:
        even, around = -(-side // scale) * scale, (MARGIN + 2) * scale
        wide = [continued(i, *_centre(i, even), even, around, scale) for i in photographs.images]
    whole = torch.stack([i.float() / 255 for i in wide])
    clean = downsample_interior(whole, scale)
    generator = torch.Generator().manual_seed(scale)
    y = clean + noise_std * torch.randn(clean.shape, generator=generator).to(clean)
    y = quantise(y) if photographs.stored else y
    stds = torch.full((len(y),), noise_std, device=y.device)
    parts = [encoder(y[i : i + 1], scale, stds[i : i + 1]) for i in range(len(y))]
    cut, start = (MARGIN + 2) * scale, MARGIN * scale
    truth = (..., slice(cut, cut + side), slice(cut, cut + side))
    inside = (..., slice(start, start + side), slice(start, start + side))
    mean, features = (torch.cat(t) for t in zip(*parts, strict=True))
    return HeldOut(whole[truth].cpu(), Condition(mean[inside].float().cpu(), features[inside].float().cpu()))


def measure_modes(encoder: Encoder, photographs: PictureSet, mean: float = MEAN) -> list[Mode]:
    """sigma_data and the range of sigma of every mode: of the images, and of the residual per (scale, noise).

    That of the images is about `mean`, on which the unconditional mode is centred.
    """
    grey = torch.cat([((i.float() / 255) - mean).flatten() for i in photographs.images])
    spread = float(grey.square().mean().sqrt())
    modes = [Mode(scale=0, noise_std=[0.0], sigma_data=[spread], sigma_min=0.002, sigma_max=10.0)]
    for scale in encoder.scales:
        values = []
        for noise_std in KNOTS:
            x, condition = held_out(encoder, photographs, scale, noise_std)
            values.append(float((x - condition.mean).square().mean().sqrt()))
        # Ten times the residual's spread: the start forgets the truth, and no step is spent on pure noise.
        modes.append(
            Mode(scale=scale, noise_std=list(KNOTS), sigma_data=values, sigma_min=0.002, sigma_max=10 * max(values))
        )
    return modes
