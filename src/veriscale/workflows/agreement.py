"""Whether a restoration agrees with its measurement, and moving it until it does."""

import numpy as np
import torch
from torch import Tensor

from veriscale.diffusion.prior import Prior
from veriscale.imaging.colour import premultiplied
from veriscale.imaging.photo import Photo
from veriscale.physics.data_term import DataTerm
from veriscale.physics.downsample import downsample_interior
from veriscale.physics.inpaint import Inpaint
from veriscale.physics.measurement_noise import GaussianNoise
from veriscale.traversal.consistency import Verdict, consistent, judge
from veriscale.workflows.finish import Finish
from veriscale.workflows.plan import Plan

WHOLE_PIXELS = 1 << 21  # of the truth; above, consistency is that of so many in the middle


def _data(photo: Photo, plan: Plan) -> DataTerm:
    """The measurement with the picture's own channels."""
    samples = premultiplied(photo.pixels, photo.alpha)
    y = torch.from_numpy(np.ascontiguousarray(samples.transpose(2, 0, 1), np.float32))[None]
    return DataTerm(plan.operator, y, plan.noise)


def moved(picture: Tensor, photo: Photo, plan: Plan) -> Tensor:
    """A picture moved to the data, on the truth grid alone; a grey picture's channels move together."""
    finish = Finish(photo, plan)
    x = finish.planes(picture)
    step = consistent(x, _data(photo, plan)) - x
    moved = picture.clone()
    moved[..., : plan.shape[0], : plan.shape[1]] += step
    return moved


def verdict(anchor: Tensor, photo: Photo, prior: Prior, plan: Plan) -> Verdict:
    """How well an anchor agrees with its measurement, beside what the prior's card calls usual."""
    data, x = _data(photo, plan), Finish(photo, plan).planes(anchor)
    if plan.conditional and plan.shape[0] * plan.shape[1] > WHOLE_PIXELS:
        data, x = _middle(data, x, plan.scale or 1)
    value = float(data.consistency(x, stored=photo.bit_depth < 32)[0])
    name = f"{plan.anchor}, consistent" if plan.consistent else plan.anchor
    if not isinstance(plan.noise, GaussianNoise) or photo.channels < prior.card.network.channels:
        return Verdict(value)  # neither was measured for the card
    return judge(prior.card, plan.operator, plan.noise_std, name, value, data.measured)


def _middle(data: DataTerm, x: Tensor, scale: int) -> tuple[DataTerm, Tensor]:
    """The middle of a large picture, measured there as in the whole: nearly as certain, at no cost to speak of."""
    side = int(WHOLE_PIXELS**0.5) // scale // 2
    (top, rows), (left, columns) = ((max(2, n // 2 - side), min(n - 2, n // 2 + side)) for n in data.y.shape[-2:])
    near = [slice((low - 2) * scale, (high + 2) * scale) for low, high in ((top, rows), (left, columns))]
    seen = downsample_interior(x[..., near[0], near[1]], scale)
    return DataTerm(Inpaint(keep=1.0), data.y[..., top:rows, left:columns], data.noise), seen
