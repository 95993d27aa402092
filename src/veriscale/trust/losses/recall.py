"""The share of a unit's bad pixels that are trusted."""

from dataclasses import dataclass
from typing import ClassVar

from veriscale.trust.losses.bad_pixels import TAU, bad_scores, share
from veriscale.trust.losses.loss import Loss, Maps
from veriscale.trust.risk_level import percent
from veriscale.trust.staircase import Staircase


@dataclass(frozen=True)
class Recall(Loss):
    """`recall`, over the bad pixels of all pictures of a unit together.

    Source: Angelopoulos et al. 2022 (arXiv 2208.02814), section 3.2.
    """

    tau: float = TAU

    name: ClassVar[str] = "recall"

    def staircase(self, maps: Maps, bound: float, limit: int) -> Staircase:
        """The loss as a function of the threshold."""
        bad = bad_scores(maps, self.tau)
        return share(bad, bad.size, limit)

    def promise(self, alpha: str, unit: str, units: str, apart: str) -> str:
        """What E[loss] ≤ alpha means."""
        return f"at most {percent(alpha)} of a {unit}'s pixels off by more than {self.tau:g} ({apart}) are trusted"
