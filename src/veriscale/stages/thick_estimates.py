"""What an unguided prior makes of thick slices of training scans, which guides learn to correct."""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from veriscale.diffusion.noise_field import NoiseField
from veriscale.diffusion.prior import TrainedPrior
from veriscale.imaging.rounding import quantised
from veriscale.physics.measurement_noise import GaussianNoise
from veriscale.physics.slice_profile import SliceProfile
from veriscale.stages.batches import key
from veriscale.stages.contrasts import Contrasts
from veriscale.stages.slices import PLANES
from veriscale.traversal.method import Work
from veriscale.traversal.zero_shot import ZeroShot


class Thick(NamedTuple):
    """How slices of a volume are measured.

    Attributes:
        step: voxels from one to the next.
        fwhm: of their profile, in voxels; less than the step leaves gaps.
        noise_std: of the measurement.
    """

    step: int
    fwhm: float
    noise_std: float


USUAL = Thick(4, 4.0, 0.0)
STEPS = 2, 3, 5, 6, 8
GAP, NOISE = 0.4, 0.05  # at the most: of a step, and where there is any


def with_estimates(prior: TrainedPrior, seen: Contrasts, seed: int, tell: Callable[[str], None]) -> Contrasts:
    """The same with the anchors of the targets' isotropic volumes, from thick slices and without guides.

    Of every volume from `USUAL` ones, and from others that are `drawn` for it.

    Args:
        prior: the guides' parent.
        seen: slices of all planes.
        seed: of the recipe.
        tell: told of every volume.

    Source: ours, docs/methods.md#guides.
    """
    images: dict[str, dict[str, dict[int, Tensor]]] = {}
    for (whose, place), image in zip(seen.places, seen.target.images, strict=True):
        name, _, plane = whose.rpartition("#")
        images.setdefault(name, {}).setdefault(plane, {})[place] = image
    found: dict[str, dict[int, list[Tensor]]] = {}
    for name, planes in images.items():
        across, along = PLANES[:2]
        if across not in planes or along not in planes:
            continue
        tell(f"thick slices of {name}")
        sagittal, coronal = planes[across], planes[along]
        (_, columns, depth), rows = next(iter(sagittal.values())).shape, next(iter(coronal.values())).shape[1]
        volume = torch.zeros(rows, columns, depth)
        for k, image in sagittal.items():
            volume[k] = image[0].cpu().float() / 255
        estimates = [
            torch.from_numpy(quantised(thick_anchor(prior, volume, thick, key(seed, "thick", name)).numpy()))
            for thick in (USUAL, drawn(seed, name))
        ]
        for plane, of, axis in ((across, sagittal, 0), (along, coronal, 1)):
            found[f"{name}#{plane}"] = {
                k: [e.select(axis, k)[None].to(image.device) for e in estimates] for k, image in of.items()
            }
    return replace(seen, estimates=found)


def drawn(seed: int, name: str) -> Thick:
    """Others for a volume: a step of `STEPS`, gaps of up to `GAP`, in half of the volumes noise of up to `NOISE`."""
    g = torch.Generator().manual_seed(key(seed, "measured", name))
    step = STEPS[int(torch.randint(len(STEPS), (), generator=g))]
    gap, noisy, std = torch.rand(3, dtype=torch.float64, generator=g).tolist()
    return Thick(step, step * (1 - GAP * gap), NOISE * std if noisy < 0.5 else 0.0)


def thick_anchor(prior: TrainedPrior, volume: Tensor, thick: Thick, seed: int) -> Tensor:
    """(X, Y, Z), what the prior's anchor makes of a volume (X, Y, Z) in thick slices."""
    depth = volume.shape[2]
    whole = volume[..., torch.arange(depth + -depth % thick.step).clamp(max=depth - 1)]
    operator = SliceProfile(thick.fwhm, thick.step, spacing=1.0)
    y = operator.forward(whole[None, None])
    y = y + thick.noise_std * torch.randn(y.shape, generator=torch.Generator().manual_seed(seed))
    method = ZeroShot(prior, operator, GaussianNoise(thick.noise_std), tuple(y.shape[1:]))
    problem = method.begin(y, 1, lambda: NoiseField(0, "thick"), Work(False, method.first_evaluations))
    return problem.anchor[0, 0, ..., :depth]
