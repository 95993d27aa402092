"""What weights are worth on held-out pictures: the error at dial 0, the CRPS of draws; and what finding it costs."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import nn

from veriscale.diffusion.encoder import Encoder
from veriscale.diffusion.prior import TrainedPrior
from veriscale.metrics.uncertainty import crps_fair
from veriscale.stages.data import PictureSet
from veriscale.stages.held_out import MARGIN, crop_side, held_out
from veriscale.stages.lora import LowRank
from veriscale.stages.measurements import draws_of
from veriscale.stages.recipe import Phase
from veriscale.traversal.renoise import SAMPLER

PICTURES, SIDE = 8, 96  # at most; truth pixels
DRAWS, STEPS = 4, 4
SHARE = 0.2
"""Of a phase's work, what its scores may take."""

BACKWARD = 2
"""The work of a gradient, in evaluations."""


class Score(NamedTuple):
    """Of the weights as they lie in the networks, the same at every call; lower is better.

    Attributes:
        find: the score.
        pixels: that the phase's network sees for it.
    """

    find: Callable[[], float]
    pixels: int

    def every(self, phase: Phase) -> int:
        """How many steps lie at least between two scores, so that all take at most `SHARE` of a phase's work.

        Work is counted in pixels and not in seconds, which differ from run to run: one that was cut off has to be
        evaluated at the same steps.
        """
        step = (1 + BACKWARD) * phase.batch * phase.patch**2
        return math.ceil(self.pixels / step * (1 - SHARE) / SHARE)

    def merged(self, loss: nn.Module) -> "Score":
        """The same of networks in which the low-rank updates of a loss, if it has any, lie merged."""
        if not isinstance(loss, LowRank):
            return self

        def find() -> float:
            with loss.in_place():
                return self.find()

        return Score(find, self.pixels)


def error_at_dial_0(encoder: Encoder, validation: PictureSet) -> Score:
    """The mean squared error at dial 0 of held-out crops without noise, mean over scales.

    Source: ours, docs/methods.md#early-stopping.
    """
    few = _few(validation)

    def find() -> float:
        pairs = [held_out(encoder, few, scale, 0.0, SIDE) for scale in encoder.scales]
        return sum(float((c.mean - x).double().square().mean()) for x, c in pairs) / len(pairs)

    sides = [-(-crop_side(few, SIDE) // scale) + 2 * MARGIN for scale in encoder.scales]
    return Score(find, len(few.images) * sum(side**2 for side in sides))


def crps_of_draws(prior: TrainedPrior, validation: PictureSet) -> Score:
    """The fair CRPS of draws at dial 1, not calmed, on held-out crops without noise, mean over scales.

    Source: ours, docs/methods.md#early-stopping.
    """
    few, modes = _few(validation), prior.card.modes[1:]

    def find() -> float:
        found = []
        for mode in modes:
            x, condition = held_out(prior.encoder, few, mode.scale, 0.0, SIDE)
            draws = [draws_of(prior, few, condition, mode, 0.0, SAMPLER, STEPS, 1.0, k) for k in range(DRAWS)]
            found.append(crps_fair(torch.stack(draws).numpy(), x.numpy()))
        return sum(found) / len(found)

    return Score(find, len(modes) * len(few.images) * crop_side(few, SIDE) ** 2 * DRAWS * STEPS)


def _few(validation: PictureSet) -> PictureSet:
    """At most `PICTURES`, spread evenly over the set."""
    whole = len(validation.images)
    count = min(PICTURES, whole)
    return validation.at([(2 * i + 1) * whole // (2 * count) for i in range(count)])
