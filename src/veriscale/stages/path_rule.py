"""Which path of the dial looks better without an encoder, for the card: on held-out pictures."""

from functools import partial

import msgspec
import numpy as np
from torch import Tensor

from veriscale.diffusion.card import Mode
from veriscale.diffusion.noise_field import NoiseField
from veriscale.diffusion.prior import Prior
from veriscale.metrics.perception import energy_w2, sliced_w2
from veriscale.physics.measurement_noise import GaussianNoise
from veriscale.physics.operator import LinearOperator
from veriscale.physics.registry import parse_operator
from veriscale.stages.anchor_rule import MIXING, SIDE
from veriscale.stages.consistency import measured
from veriscale.stages.data import PictureSet
from veriscale.stages.held_out import crops
from veriscale.traversal.method import Work
from veriscale.traversal.zero_shot import ZeroShot

NOISE = 0.05
SHARES = (0.25, 0.5, 0.75)  # of the extra distortion, at which the paths are compared
WEIGHTS = tuple(k / 8 for k in range(1, 8))
STARTS = (0.02, 0.05, 0.125, 0.25, 0.5, 0.75)  # of a full one
MASK = ("inpaint:keep=0.5",)


def measure_path_rule(prior: Prior, photographs: PictureSet) -> list[Mode]:
    """The prior's modes, mode 0 with the path that looks better for masks of pixels and for operators that mix them.

    `renoise` where both perception numbers, averaged over pictures and `SHARES`, are nearer to the truth at equal
    distortion for every operator of the kind; else `interpolate`, which needs one draw for the whole dial.

    Source: ours, docs/methods.md#pilot-draws.
    """
    mode, x = prior.card.modes[0], crops(photographs, SIDE)
    found = {
        name: "renoise" if all(_better(prior, photographs, x, text) for text in texts) else "interpolate"
        for name, texts in (("path", MIXING), ("mask_path", MASK))
    }
    return [msgspec.structs.replace(mode, **found), *prior.card.modes[1:]]


def _better(prior: Prior, photographs: PictureSet, x: Tensor, text: str) -> bool:
    operator = parse_operator(text)
    if not isinstance(operator, LinearOperator):
        raise TypeError(f"{text} is not linear")
    y = measured(operator, x, NOISE, photographs.stored)
    method = ZeroShot(prior, operator, GaussianNoise(NOISE), tuple(y.shape[1:]))
    looks = []
    for name, truth, measurement in zip(photographs.names, x, y, strict=True):
        field = NoiseField(0, name)
        problem = method.begin(measurement[None], 1, partial(NoiseField, 0, name), Work(True, 0))
        anchor = problem.anchor
        draw = problem.draw([(field, 0)], method.sigma_max)
        paths = (
            [problem.draw([(field, 0)], share * method.sigma_max) for share in STARTS],
            [anchor + w * (draw - anchor) for w in WEIGHTS],
        )
        looks.append([[look(image, truth[None]) for image in (anchor, *path, draw)] for path in paths])
    renoise, interpolate = (np.array([picture[k] for picture in looks]).mean(0) for k in range(2))
    gains = [at(interpolate, f) - at(renoise, f) for f in SHARES]
    return bool((np.mean(gains, axis=0) > 0).all())


def look(image: Tensor, x: Tensor) -> tuple[float, float, float]:
    """MSE, sliced W2 and energy W2 of one picture, (1, C, H, W)."""
    a, b = ([t[0].permute(1, 2, 0).numpy()] for t in (image, x))
    error = float((image - x).double().square().mean())
    return error, float(sliced_w2(a, b)[0]), float(energy_w2(a, b).mean[0])


def at(points: np.ndarray, f: float) -> np.ndarray:
    """Rows of (MSE, …) → what follows the MSE where that is the share f of the way, by straight lines."""
    mse = np.maximum.accumulate(points[:, 0])
    target = mse[0] + f * (mse[-1] - mse[0])
    return np.array([np.interp(target, mse, column) for column in points[:, 1:].T])
