"""Values in the strings of operators: numbers, ranges and paths, and the sentences about wrong ones."""

import os
import re
from copy import copy
from pathlib import Path
from typing import TypeVar

from veriscale.decimals import shortest
from veriscale.errors import InputError

Named = TypeVar("Named")

SEEDS = 2**63 - 1  # the largest seed: what every generator and file format takes


def pair(values: tuple[float, float]) -> str:
    """`4` for equal values, else `4x1`."""
    a, b = values
    return shortest(a) if a == b else f"{shortest(a)}x{shortest(b)}"


def check_range(operator: str, key: str, value: float, low: float, high: float, *, above: bool = False) -> None:
    """Raise `InputError` unless low ≤ value ≤ high; `above`: low itself is out.

    Args:
        operator: its name.
        key: the value's.
        value: what was given; NaN is out of every range.
        low: the range's lower end.
        high: its upper end.
        above: whether low is excluded.
    """
    if not (low < value if above else low <= value) or not value <= high:
        least = f"above {shortest(low)}" if above else f"at least {shortest(low)}"
        raise InputError(
            f"Operator '{operator}': {key}={shortest(value)} is out of range; "
            f"{key} is {least} and at most {shortest(high)}."
        )


def check_seed(operator: str, seed: int) -> None:
    """Raise `InputError` for a seed no generator takes."""
    if not 0 <= seed <= SEEDS:
        raise InputError(f"Operator '{operator}': seed={seed} is out of range; seed is an integer from 0 to {SEEDS}.")


def check_path(operator: str, path: str) -> None:
    """Raise `InputError` for a path that would not read back from an operator's string."""
    if re.search(r",[^,/]*=|,$| \+ |^\s|\s$|[\r\n]", path):
        raise InputError(
            f"Operator '{operator}': the path {path!r} cannot stand in an operator's string; "
            "rename the file so that it holds no ' + ', no ',…=' and no blank at its ends."
        )


def path_from(operator: Named, key: str, folder: Path) -> Named:
    """The same operator with the path in its field `key` written as seen from `folder`."""
    other = copy(operator)  # its file is not read again: the path will be right from `folder` only
    path = Path(getattr(operator, key)).resolve()
    object.__setattr__(other, key, os.path.relpath(path, folder.resolve()))
    return other
