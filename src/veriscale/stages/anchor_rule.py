"""How the anchor `fast` goes: its first and last level, relaxation and trust, for the card: on held-out pictures."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import msgspec
from torch import Tensor

from veriscale.diffusion.card import Mode
from veriscale.diffusion.prior import Prior
from veriscale.physics.data_term import DataTerm
from veriscale.physics.measurement_noise import GaussianNoise
from veriscale.physics.operator import LinearOperator
from veriscale.physics.registry import parse_operator
from veriscale.stages.consistency import measured, zero_shot_anchor

SIDE = 96  # of the crops: dozens of anchors are made of each
HIGH = 0.35  # of operators that mix pixels, while their trust is chosen
MIXING = "downsample:factor=4,kernel=box", "blur:kernel=anisotropic,std=20x1,angle=45"
MASKS = "inpaint:keep=0.5", "sensing:ratio=0.5", "inpaint:keep=0.2"
RELAXATIONS = 1.0, 0.8, 0.5
RULES: tuple[tuple[Sequence[str], dict[str, Sequence[float]]], ...] = (
    (
        MIXING,
        {
            "relaxation": RELAXATIONS,
            "trust": (1.0, 0.85, 0.7, 0.6, 0.5),
            "high": (0.25, 0.35, 0.5, 0.7),
            "low": (0.0, 0.01, 0.03),
        },
    ),
    (
        MASKS,
        {
            "mask_relaxation": RELAXATIONS,
            "mask_trust": (1.0, 0.85, 0.7),
            "mask_high": (0.25, 0.35, 0.5),
            "mask_low": (0.006, 0.01, 0.015, 0.03, 0.06),
        },
    ),
)
NOISES = (0.0, 0.01, 0.05)


def measure_anchor_rule(prior: Prior, x: Tensor, stored: bool = True) -> Mode:
    """Mode 0 with `relaxation`, `trust`, `high` and `low`, and those of masks, by the mean PSNR on x, (N, C, H, W).

    Their measurements are `stored` in 8 bits, or not, as those of scans.

    Of operators that mix pixels and of masks apart, over `NOISES`, one number after the other. The denoiser of an exact
    Gaussian prior wants trust 1. A learned one is a mean, and used as the proximal map of a log-prior, step after step,
    it pulls to the mode: the anchor is too smooth, and its residual above the noise. Nor is it a proximal map, so that
    the splitting's gap may grow from level to level; relaxed, it closes.

    Source: ours, docs/methods.md#fast.
    """
    mode = msgspec.structs.replace(prior.card.modes[0], high=HIGH)
    for texts, numbers in RULES:
        problems = _problems(texts, x, stored)
        for name, values in numbers.items():
            tried = [msgspec.structs.replace(mode, **{name: value}) for value in values]
            mode = max(tried, key=lambda mode: _score(prior, x, problems, mode))
    return mode


def _problems(texts: Sequence[str], x: Tensor, stored: bool) -> list[DataTerm]:
    found = []
    for text, noise in product(texts, NOISES):
        operator = parse_operator(text)
        if isinstance(operator, LinearOperator):
            found.append(DataTerm(operator, measured(operator, x, noise, stored), GaussianNoise(noise)))
    return found


def _score(prior: Prior, x: Tensor, problems: Sequence[DataTerm], mode: Mode) -> float:
    tried = replace(prior, card=msgspec.structs.replace(prior.card, modes=[mode, *prior.card.modes[1:]]))
    errors = [(zero_shot_anchor(tried, data) - x).double().square().mean((1, 2, 3)) for data in problems]
    return -sum(float(e.log10().mean()) for e in errors)
