"""By how much the draws of a prior of scans differ too little or too much for what they err: for the card."""

import math
from functools import reduce
from operator import add

import torch

from veriscale.diffusion.card import Card
from veriscale.diffusion.prior import TrainedPrior
from veriscale.metrics.foreground import FLOOR
from veriscale.metrics.uncertainty import spread_skill, spread_sums
from veriscale.stages.data import PictureSet
from veriscale.stages.held_out import held_out
from veriscale.stages.measurements import DIAL_CROP, calmed_draws, draws_of
from veriscale.traversal.calm import find_calm

DRAWS = 8
SPREAD_SKILL = "validation crops, spread–skill of draws at dial 1, without the temperature"


def measure_spread_skill(prior: TrainedPrior, validation: PictureSet, sampler: str, steps: int) -> float:
    """The spread–skill of draws at dial 1 of held-out scans, whose inverse is the temperature.

    Of draws as they are delivered, of measurements without noise, at all scales together, over the pixels whose dial 0
    lies above the floor of a foreground: no truth decides what counts.

    Returns:
        0 where draws do not differ, ∞ where nothing errs, or nothing is in the foreground: see `temperature_of`.

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
    return spread_skill(reduce(add, found))


def temperature_of(ratio: float) -> float:
    """What the std of draws is multiplied by for a spread–skill of 1; 1 where that is 0 or ∞, which no factor mends."""
    return 1 / ratio if 0 < ratio < math.inf else 1.0


def spread_doubt(card: Card) -> str | None:
    """Why the temperature on a measured card is 1 for want of another, or None."""
    ratio = card.metrics.get(SPREAD_SKILL)
    if ratio is None:
        return "no draw of the held-out scans errs, or they have no foreground: .std has no temperature"
    return "draws of the held-out scans do not differ: .std says nothing of errors" if ratio == 0 else None
