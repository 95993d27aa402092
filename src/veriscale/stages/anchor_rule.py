"""Where the anchor `fast` begins and how far it trusts the measurement, for the card: chosen on held-out pictures."""

from dataclasses import replace
from itertools import product

import msgspec

from veriscale.diffusion.card import Mode
from veriscale.diffusion.prior import Prior
from veriscale.physics.data_term import DataTerm
from veriscale.physics.measurement_noise import GaussianNoise
from veriscale.physics.operator import LinearOperator
from veriscale.physics.registry import parse_operator
from veriscale.stages.consistency import CROP, crops, measured, zero_shot_anchor
from veriscale.stages.data import Photographs

HIGHS = (0.35, 0.5, 0.7, 0.9)
TRUSTS = (1.0, 0.85, 0.7, 0.6, 0.5)
TASKS = ("downsample:factor=4,kernel=box", "inpaint:keep=0.5", "blur:kernel=anisotropic,std=20x1,angle=45")
NOISE = 0.05


def measure_anchor_rule(prior: Prior, photographs: Photographs) -> list[Mode]:
    """The prior's modes with `high` and `trust` of mode 0: the pair with the best mean PSNR over `TASKS`.

    The denoiser of an exact Gaussian prior wants trust 1. A learned one is a mean, and used as the proximal map of a
    log-prior, step after step, it pulls to the mode: the anchor is too smooth, and its residual above the noise.

    Source: ours, docs/methods.md#fast.
    """
    x = crops(photographs, CROP)
    problems = []
    for text in TASKS:
        operator = parse_operator(text)
        if isinstance(operator, LinearOperator):
            problems.append(DataTerm(operator, measured(operator, x, NOISE), GaussianNoise(NOISE)))

    def score(mode: Mode) -> float:
        tried = replace(prior, card=msgspec.structs.replace(prior.card, modes=[mode, *prior.card.modes[1:]]))
        total = 0.0
        for data in problems:
            error = (zero_shot_anchor(tried, data, x.shape) - x).double().square().mean((1, 2, 3))
            total -= float(error.log10().mean())
        return total

    first = prior.card.modes[0]
    candidates = [msgspec.structs.replace(first, high=h, trust=t) for h, t in product(HIGHS, TRUSTS)]
    return [max(candidates, key=score), *prior.card.modes[1:]]
