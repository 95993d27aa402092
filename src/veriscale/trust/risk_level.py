"""Risk levels as exact numbers: what decides is never a float."""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from veriscale.errors import InputError

LARGEST = 1e6  # no loss is bounded by more


def exact(alpha: float | str | Fraction) -> Fraction:
    """The number as it is written in decimals.

    >>> exact(0.1) == Fraction(1, 10) == exact("0.1")
    True

    Args:
        alpha: a risk level, or any other positive number that was written by a person. A float stands for its shortest
            decimal, not for the binary fraction next to it.

    Raises:
        InputError: it is no number, not finite, or not above 0.
    """
    written = alpha if isinstance(alpha, str | Fraction) else repr(float(alpha))
    try:
        if isinstance(written, str) and not _short(written):
            raise ValueError(written)
        number = Fraction(written)
    except (ValueError, ZeroDivisionError):
        raise InputError(
            f"A risk level of {str(alpha)[:32]!r} is not a finite number; give one such as 0.05."
        ) from None
    if not 0 < number <= LARGEST:
        raise InputError(f"A risk level of {str(alpha)[:32]} cannot be kept; give a number above 0, such as 0.05.")
    return number


def levels(alphas: float | str | Sequence[float | str] | NDArray[np.float64]) -> tuple[str, ...]:
    """One level or several, or several in one string as `0.02,0.05`, each as it is written."""
    several = alphas.split(",") if isinstance(alphas, str) else list(np.atleast_1d(np.asarray(alphas, object)))
    return tuple(str(a).strip() for a in several)


def percent(written: str) -> str:
    """A number as it was written, in percent: `5 %`."""
    return f"{100 * float(exact(written)):g} %"


def _short(written: str) -> bool:
    """Whether the number has an end that can be waited for: 1e99999999 has eight digits, and a hundred million."""
    exponent = written.lower().partition("e")[2].strip()
    return len(written) <= 32 and (not exponent or (exponent.lstrip("+-").isdecimal() and abs(int(exponent)) <= 32))
