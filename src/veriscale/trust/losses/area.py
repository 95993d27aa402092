"""The share of a unit's pixels that are trusted and bad."""

from dataclasses import dataclass
from typing import ClassVar

from veriscale.trust.losses.bad_pixels import TAU, bad_scores, share
from veriscale.trust.losses.loss import Loss, Maps
from veriscale.trust.risk_level import percent
from veriscale.trust.staircase import Staircase


@dataclass(frozen=True)
class Area(Loss):
    """`area`, over the pixels of all pictures of a unit together. Ours: docs/methods.md#trust."""

    tau: float = TAU

    name: ClassVar[str] = "area"
    usual_alpha: ClassVar[str] = "0.05"

    def staircase(self, maps: Maps, bound: float, limit: int) -> Staircase:
        """The loss as a function of the threshold."""
        return share(bad_scores(maps, self.tau), sum(score.size for score, _ in maps), limit)

    def promise(self, alpha: str, unit: str, units: str, apart: str) -> str:
        """What E[loss] ≤ alpha means."""
        return f"at most {percent(alpha)} of a {unit} is both trusted and off by more than {self.tau:g} ({apart})"
