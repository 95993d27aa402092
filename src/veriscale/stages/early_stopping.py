"""The best of the averaged weights that a phase was evaluated with, which is what it leaves."""

import math
from typing import Any

import torch
from torch import Tensor

from veriscale.stages.average import MovingAverage


class Best:
    """The averaged weights with the lowest score so far, and for how many evaluations none has been lower.

    Args:
        average: of a phase, as it begins.
        patience: evaluations without a lower score that end the phase.

    Attributes:
        step: of the weights.
        score: theirs.
        waited: evaluations since.
        weights: one tensor for each that is averaged.
    """

    def __init__(self, average: MovingAverage, patience: int) -> None:
        self.average = average
        self.patience = patience
        self.step, self.score, self.waited = 0, math.inf, 0
        self.weights = [a.clone() for a in average.average]

    def hear(self, step: int, score: float) -> None:
        """What the average of some step was found to be worth; a NaN is worth nothing."""
        self.waited += 1
        if score < self.score:
            self.step, self.score, self.waited = step, score, 0
            self.weights = [a.clone() for a in self.average.average]

    @property
    def ends(self) -> bool:
        """Whether the phase has waited for long enough."""
        return self.waited >= self.patience

    @torch.no_grad()
    def copy_into_module(self) -> None:
        """Replace the module's parameters by the best weights."""
        for p, w in zip(self.average.parameters, self.weights, strict=True):
            p.copy_(w)

    def state(self) -> dict[str, Tensor]:
        """The weights by position."""
        return {str(i): w for i, w in enumerate(self.weights)}

    @property
    def facts(self) -> dict[str, Any]:
        """The rest of the state."""
        return {"step": self.step, "score": self.score, "waited": self.waited}

    @torch.no_grad()
    def restore(self, state: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Take up a saved state."""
        for i, w in enumerate(self.weights):
            w.copy_(state[str(i)])
        self.step, self.score, self.waited = facts["step"], facts["score"], facts["waited"]
