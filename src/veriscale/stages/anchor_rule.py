"""Where the anchor `fast` begins and ends and how far it trusts the measurement, for the card: on held-out pictures."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import msgspec

from veriscale.diffusion.card import Mode
from veriscale.diffusion.prior import Prior
from veriscale.physics.data_term import DataTerm
from veriscale.physics.measurement_noise import GaussianNoise
from veriscale.physics.operator import LinearOperator
from veriscale.physics.registry import parse_operator
from veriscale.stages.consistency import crops, measured, zero_shot_anchor
from veriscale.stages.data import Photographs

SIDE = 96  # of the crops: dozens of anchors are made of each
HIGHS = (0.25, 0.35, 0.5, 0.7)
TRUSTS = (1.0, 0.85, 0.7, 0.6, 0.5)
MASK_HIGHS, MASK_TRUSTS = (0.25, 0.35, 0.5), (1.0, 0.85, 0.7)
LOWS = (0.006, 0.01, 0.015)
MIXING = "downsample:factor=4,kernel=box", "blur:kernel=anisotropic,std=20x1,angle=45"
MASKS = "inpaint:keep=0.5", "sensing:ratio=0.5", "inpaint:keep=0.2"
NOISES = (0.0, 0.05)


def measure_anchor_rule(prior: Prior, photographs: Photographs) -> list[Mode]:
    """The prior's modes, mode 0 with `high` and `trust`, and the same of masks, by the best mean PSNR.

    Of operators that mix pixels and of masks apart, over `NOISES`; `mask_low` last, with the others chosen. The
    denoiser of an exact Gaussian prior wants trust 1. A learned one is a mean, and used as the proximal map of a
    log-prior, step after step, it pulls to the mode: the anchor is too smooth, and its residual above the noise.

    Source: ours, docs/methods.md#fast.
    """
    mixing, masks = (_problems(texts, photographs) for texts in (MIXING, MASKS))

    def best(candidates: list[Mode], problems: Sequence[DataTerm]) -> Mode:
        return max(candidates, key=lambda mode: _score(prior, photographs, problems, mode))

    put = msgspec.structs.replace
    mode = best([put(prior.card.modes[0], high=h, trust=t) for h, t in product(HIGHS, TRUSTS)], mixing)
    mode = best([put(mode, mask_high=h, mask_trust=t) for h, t in product(MASK_HIGHS, MASK_TRUSTS)], masks)
    mode = best([put(mode, mask_low=low) for low in LOWS], masks)
    return [mode, *prior.card.modes[1:]]


def _problems(texts: Sequence[str], photographs: Photographs) -> list[DataTerm]:
    x, found = crops(photographs, SIDE), []
    for text, noise in product(texts, NOISES):
        operator = parse_operator(text)
        if isinstance(operator, LinearOperator):
            found.append(DataTerm(operator, measured(operator, x, noise), GaussianNoise(noise)))
    return found


def _score(prior: Prior, photographs: Photographs, problems: Sequence[DataTerm], mode: Mode) -> float:
    tried = replace(prior, card=msgspec.structs.replace(prior.card, modes=[mode, *prior.card.modes[1:]]))
    x = crops(photographs, SIDE)
    errors = [(zero_shot_anchor(tried, data, x.shape) - x).double().square().mean((1, 2, 3)) for data in problems]
    return -sum(float(e.log10().mean()) for e in errors)
