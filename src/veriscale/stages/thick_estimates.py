"""What an unguided prior makes of thick slices of training scans, which guides learn to correct."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from veriscale.diffusion.noise_field import NoiseField
from veriscale.diffusion.prior import TrainedPrior
from veriscale.imaging.rounding import quantised
from veriscale.physics.measurement_noise import GaussianNoise
from veriscale.physics.slice_profile import SliceProfile
from veriscale.stages.contrasts import Contrasts
from veriscale.stages.slices import PLANES
from veriscale.traversal.method import Work
from veriscale.traversal.zero_shot import ZeroShot

THICK = 4  # voxels a slice


def with_estimates(prior: TrainedPrior, seen: Contrasts, tell: Callable[[str], None]) -> Contrasts:
    """The same with the anchors of the targets' isotropic volumes, from slices of `THICK` voxels and without guides.

    Args:
        prior: the guides' parent.
        seen: slices of all planes.
        tell: told of every volume.

    Source: ours, docs/methods.md#guides.
    """
    images: dict[str, dict[str, dict[int, Tensor]]] = {}
    for (whose, place), image in zip(seen.places, seen.target.images, strict=True):
        name, _, plane = whose.rpartition("#")
        images.setdefault(name, {}).setdefault(plane, {})[place] = image
    found: dict[str, dict[int, Tensor]] = {}
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
        estimate = torch.from_numpy(quantised(thick_anchor(prior, volume).numpy()))
        found[f"{name}#{across}"] = {k: estimate[k][None].to(image.device) for k, image in sagittal.items()}
        found[f"{name}#{along}"] = {k: estimate[:, k][None].to(image.device) for k, image in coronal.items()}
    return replace(seen, estimates=found)


def thick_anchor(prior: TrainedPrior, volume: Tensor) -> Tensor:
    """(X, Y, Z), what the prior's anchor makes of a volume (X, Y, Z) in slices of `THICK` voxels."""
    depth = volume.shape[2]
    whole = volume[..., torch.arange(depth + -depth % THICK).clamp(max=depth - 1)]
    operator = SliceProfile(THICK, THICK, spacing=1.0)
    y = operator.forward(whole[None, None])
    method = ZeroShot(prior, operator, GaussianNoise(0.0), tuple(y.shape[1:]))
    problem = method.begin(y, 1, lambda: NoiseField(0, "thick"), Work(False, method.first_evaluations))
    return problem.anchor[0, 0, ..., :depth]
