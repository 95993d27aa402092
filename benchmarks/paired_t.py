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
        both: interval of both sources of chance together; None where nothing was drawn.
    """

    mean: float
    patients: tuple[float, float]
    draws: tuple[float, float] | None
    both: tuple[float, float] | None

    @property
    def claimed(self) -> bool:
        """Whether patients and draws lie on one side of 0: it would of other patients and other draws of the pool."""
        ends = np.array([self.patients, self.draws or (0.0, 0.0)])
        return bool((ends > 0).all() or (ends < 0).all())


def compared(a: np.ndarray, b: np.ndarray) -> Comparison:
    """Compare two numbers that were measured of the same patients after the same draws.

    Args:
        a: (draws, patients), at least 2 patients; one draw where nothing was drawn.
        b: the same, or (1, patients).
    """
    difference = a - b
    drawn = len(difference) > 1
    over_draws = t_interval(difference.mean(axis=1)) if drawn else None
    over_both = crossed_interval(difference) if drawn else None
    return Comparison(float(difference.mean()), t_interval(difference.mean(axis=0)), over_draws, over_both)


def t_interval(values: np.ndarray) -> tuple[float, float]:
    """Student's interval of the mean of values (N,), N ≥ 2, with N − 1 degrees of freedom.

    Source: Student 1908.
    """
    reach = student.ppf((1 + LEVEL) / 2, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5
    return float(values.mean() - reach), float(values.mean() + reach)


def crossed_interval(values: np.ndarray) -> tuple[float, float]:
    """Interval of the mean of values (D, P), each of D draws and P patients being chance of its own.

    The variance of the mean by the mean squares of a two-way layout, (MS_D + MS_P - MS_E) / (D P), no less than either
    alone gives; degrees of freedom by Satterthwaite.

    Source: Satterthwaite 1946; Searle, Casella & McCulloch, Variance Components, 1992, chapter 4.
    """
    shape = np.array(values.shape)
    by_draw, by_patient = values.mean(axis=1), values.mean(axis=0)
    rest = values - by_draw[:, None] - by_patient + values.mean()
    free = np.array([*(shape - 1), np.prod(shape - 1)])
    squares = np.array([shape[1] * by_draw.var(ddof=1), shape[0] * by_patient.var(ddof=1), (rest**2).sum() / free[2]])
    total = max(squares[0] + squares[1] - squares[2], *squares[:2])
    if total == 0:
        return float(values.mean()), float(values.mean())
    reach = student.ppf((1 + LEVEL) / 2, total**2 / (squares**2 / free).sum()) * (total / values.size) ** 0.5
    return float(values.mean() - reach), float(values.mean() + reach)
