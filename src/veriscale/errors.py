"""The one exception for the user's mistakes."""

import difflib
from collections.abc import Iterable


class InputError(Exception):
    """Something the user gave cannot be used.

    The message is one sentence: what is wrong, where, and what would do.
    """


def closest(name: str, known: Iterable[str]) -> str:
    """Name the known values, the closest to `name` first: the end of an `InputError` about an unknown name."""
    names = list(known)
    match = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"did you mean {match[0]!r}? " if match else ""
    return f"{hint}known: {', '.join(names)}"
