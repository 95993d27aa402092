"""What a loss is."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from veriscale.trust.risk_level import percent
from veriscale.trust.staircase import Staircase

Map = NDArray[np.float32]
Maps = Sequence[tuple[Map, Map]]


@dataclass(frozen=True)
class Loss(ABC):
    """What trusting the wrong pixels costs a unit; made by `registry.make_loss`.

    Args:
        tau: a pixel is bad where the discrepancy is above it; None for a loss that knows no bad pixels.
        tile: the side of a tile in pixels; None for a loss that knows no tiles.

    Attributes:
        name: in strings, certificates and on the command line.
        words: of `promise`: may name its arguments, the settings, and `share`, which is alpha in percent.
        in_discrepancy: whether it is a discrepancy, and bounded as such; a share else.
        binary: whether it is 0 or its bound and nothing between.
        any_size: whether pictures of every size are units of one kind.
        usual_alpha: the risk level that is taken where none is given.
    """

    tau: float | None = None
    tile: int | None = None

    name: ClassVar[str]
    words: ClassVar[str]
    in_discrepancy: ClassVar[bool] = False
    binary: ClassVar[bool] = False
    any_size: ClassVar[bool] = False
    usual_alpha: ClassVar[str] = "0.1"

    @abstractmethod
    def staircase(self, maps: Maps, bound: float, limit: int) -> Staircase:
        """The loss as a function of the threshold; arguments, checked, as `registry.staircase`."""

    def bound(self, discrepancy_bound: float) -> float:
        """B: the largest value of this loss, for discrepancies up to `discrepancy_bound`."""
        return discrepancy_bound if self.in_discrepancy else 1.0

    def promise(self, alpha: str, unit: str, units: str, apart: str) -> str:
        """What E[loss] ≤ alpha means, in words that can follow "On average".

        Args:
            alpha: as it was written.
            unit, units: such as "picture" and "pictures".
            apart: the discrepancy, such as "pointwise discrepancy".
        """
        return self.words.format(
            alpha=alpha, share=percent(alpha), unit=unit, units=units, apart=apart, tau=self.tau, tile=self.tile
        )
