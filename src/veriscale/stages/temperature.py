"""By how much the draws of a prior of scans differ too little or too much for what they err: for the card."""

import math
from functools import reduce
from operator import add

import torch

from veriscale.diffusion.prior import TrainedPrior
from veriscale.metrics.foreground import FLOOR
from veriscale.metrics.uncertainty import spread_skill, spread_sums
from veriscale.stages.data import PictureSet
from veriscale.stages.held_out import held_out
from veriscale.stages.measurements import DIAL_CROP, calmed_draws, draws_of
from veriscale.traversal.calm import find_calm

DRAWS = 8


def measure_temperature(prior: TrainedPrior, validation: PictureSet, sampler: str, steps: int) -> float:
    """What the std of draws at dial 1 is multiplied by for a spread–skill of 1: the inverse of that of held-out scans.

    Of draws as they are delivered, of measurements without noise, at all scales together, over the pixels whose dial 0
    lies above the floor of a foreground: no truth decides what counts.

    Returns:
        1 where draws do not differ, or nothing is in the foreground.

    Source: ours, docs/methods.md#temperature; spread–skill by Fortin et al. 2014.
    """
    found = []
    for mode in prior.card.modes[1:]:
        x, condition = held_out(prior.encoder, validation, mode.scale, 0.0, DIAL_CROP)
        calm, inside = find_calm(prior.card, mode.scale, 0.0), condition.mean > FLOOR
        draws = [
            draws_of(prior, validation, condition, mode, 0.0, sampler, steps, mode.level_ratio, number)
            for number in range(DRAWS)
        ]
        delivered = torch.stack([calmed_draws(prior, condition, draw, calm)[inside] for draw in draws])
        found.append(spread_sums(delivered.numpy(), x[inside].numpy()))
    ratio = spread_skill(reduce(add, found))
    return 1 / ratio if 0 < ratio < math.inf else 1.0
