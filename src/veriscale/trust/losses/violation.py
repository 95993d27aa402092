"""Whether a unit has a bad pixel that is trusted."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from veriscale.trust.losses.bad_pixels import TAU, bad_scores
from veriscale.trust.losses.loss import Loss, Maps
from veriscale.trust.risk_level import percent
from veriscale.trust.staircase import RESOLUTION, Staircase


@dataclass(frozen=True)
class Violation(Loss):
    """`violation`: 1 as soon as a bad pixel of any picture of a unit is trusted."""

    tau: float = TAU

    name: ClassVar[str] = "violation"
    binary: ClassVar[bool] = True

    def staircase(self, maps: Maps, bound: float, limit: int) -> Staircase:
        """The loss as a function of the threshold."""
        bad = bad_scores(maps, self.tau)
        bad = bad[bad < np.inf]
        first = bad.min(keepdims=True) if bad.size else bad
        return Staircase(first, np.full(first.size, RESOLUTION))

    def promise(self, alpha: str, unit: str, units: str, apart: str) -> str:
        """What E[loss] ≤ alpha means."""
        return f"at most {percent(alpha)} of {units} have a trusted pixel off by more than {self.tau:g} ({apart})"
