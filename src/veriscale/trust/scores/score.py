"""What a score is: a number per pixel, higher where a result is less trustworthy."""

from abc import ABC
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from veriscale.decimals import shortest
from veriscale.errors import InputError
from veriscale.trust.smoothing import smoothed

Array = NDArray[np.float32]
Needs = Literal["picture", "draws", "perturbed runs", "predictor", "maps"]


@dataclass(frozen=True)
class Score(ABC):
    """Where a score comes from; made by `registry.parse_score`. The fields of a member are the keys of its string.

    Args:
        smooth: std in pixels of the Gaussian that the map is filtered by in the end; 0 is none.

    Attributes:
        name: in strings, certificates and on the command line.
        needs: beside the delivered picture: draws (of a tool: runs), runs on perturbed inputs, the prior's predictor of
            its own error, or maps that the user brings; "picture" is nothing more.
        above_zero: the fields that cannot be 0.
    """

    smooth: float = field(default=0.0, kw_only=True)

    name: ClassVar[str]
    needs: ClassVar[Needs] = "picture"
    above_zero: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def settings(cls) -> dict[str, float]:
        """Its fields with their values where they are not given, in the order of its string."""
        found = {f.name: f.default for f in fields(cls) if isinstance(f.default, float)}
        return {**{k: v for k, v in found.items() if k != "smooth"}, "smooth": found["smooth"]}

    def of_pictures(self, picture: Array, runs: Sequence[Array]) -> Array:
        """The map before its smoothing, (H, W), of a picture (H, W, C) and its draws or runs.

        Raises:
            InputError: it cannot be had from pictures.
        """
        raise InputError(f"The score '{self.name}' cannot be computed from pictures alone.")

    def smoothed(self, values: Array) -> Array:
        """A map (H, W) with the score's final smoothing."""
        if not self.smooth:
            return values
        never = np.isinf(values)
        if not never.any():
            return smoothed(values, self.smooth)
        # What is never (or always) trusted stays so and does not spread.
        known = values[~never]
        out = smoothed(np.where(never, known.max() if known.size else np.float32(0), values), self.smooth)
        return np.where(never, values, out)

    def __str__(self) -> str:
        given = [
            f"{k}={shortest(getattr(self, k))}" for k, usual in self.settings().items() if getattr(self, k) != usual
        ]
        return f"{self.name}:{','.join(given)}" if given else self.name
