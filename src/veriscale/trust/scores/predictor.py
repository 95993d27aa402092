"""A prior's own prediction of its error."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from veriscale.trust.scores.score import Array, Needs, Score


@dataclass(frozen=True)
class Predictor(Score):
    """`predictor`.

    Args:
        tau: the error it is asked about.
        context: by how much of its mean over the picture every pixel's score is raised, since a picture that is hard
            elsewhere surprises more.
    """

    tau: float = 0.1
    context: float = 0.0

    name: ClassVar[str] = "predictor"
    needs: ClassVar[Needs] = "predictor"

    def raised(self, values: Array) -> Array:
        """The predictor's map with its context."""
        return values + np.float32(self.context * values.mean(dtype=np.float64))
