"""Paired comparisons of a study with two sources of chance: whom it is tried on, and whom it was trained on."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

LEVEL = 0.95


@dataclass(frozen=True)
class Comparison:
    """What a − b is on average, and how far that may be chance.

    Attributes:
        mean: over patients and draws.
        patients: t-interval over patients, the draws of each averaged first.
        draws: t-interval over draws, the patients of each averaged first; None where nothing was drawn.
    """

    mean: float
    patients: tuple[float, float]
    draws: tuple[float, float] | None

    @property
    def claimed(self) -> bool:
        """Whether both intervals lie on one side of 0: a claim about other patients after other draws."""
        ends = np.array([self.patients, self.draws or (0.0, 0.0)])
        return bool((ends > 0).all() or (ends < 0).all())


def compared(a: np.ndarray, b: np.ndarray) -> Comparison:
    """Compare two numbers that were measured of the same patients after the same draws.

    Args:
        a: (draws, patients), at least 2 patients; one draw where nothing was drawn.
        b: the same, or (1, patients).
    """
    difference = a - b
    over_draws = t_interval(difference.mean(axis=1)) if len(difference) > 1 else None
    return Comparison(float(difference.mean()), t_interval(difference.mean(axis=0)), over_draws)


def t_interval(values: np.ndarray) -> tuple[float, float]:
    """Student's interval of the mean of values (N,), N ≥ 2, with N − 1 degrees of freedom.

    Source: Student 1908.
    """
    reach = student.ppf((1 + LEVEL) / 2, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5
    return float(values.mean() - reach), float(values.mean() + reach)
