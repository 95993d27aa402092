"""Risk levels as exact numbers: what decides is never a float."""

from fractions import Fraction

from veriscale.errors import InputError


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
        number = Fraction(written)
    except (ValueError, ZeroDivisionError):
        raise InputError(f"A risk level of {alpha} is not a finite number; give one such as 0.05.") from None
    if number <= 0:
        raise InputError(f"A risk level of {alpha} cannot be kept; give a number above 0, such as 0.05.")
    return number
