"""A user's own Python, named as `package.module:factory`: what a function of theirs makes.

It runs code, so that such a name is believed from the user alone, never from a run.json, a sidecar or a certificate.
"""

import importlib
import re
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, TypeVar

from veriscale.errors import InputError
from veriscale.physics.composition import compose
from veriscale.physics.operator import Operator
from veriscale.physics.registry import OPERATORS, parse_operator

Stated = TypeVar("Stated")

_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


def is_factory(text: str | None) -> bool:
    """Whether a text has the form `package.module:factory`."""
    return text is not None and _NAME.fullmatch(text) is not None


def made_by(text: str, kind: type) -> Any:
    """What the function of a module gives when it is called without arguments.

    Args:
        text: `package.module:factory`; the module is looked for in the working folder first.
        kind: what it must be.

    Raises:
        InputError: the module cannot be imported, has no such function, or it fails or makes something else.
    """
    module, _, name = text.partition(":")
    here = str(Path.cwd())
    if sys.path[0] != here:
        sys.path.insert(0, here)  # for good: what a factory makes may import when it is called
    with redirect_stdout(sys.stderr):  # standard output is for results, which may be a picture
        try:
            found = importlib.import_module(module)
        except (Exception, SystemExit) as error:  # whatever a user's module raises while it is imported
            raise InputError(
                f"{text}: the module cannot be imported ({_told(error)}); it is looked for in {here}."
            ) from error
        if not hasattr(found, name):
            raise InputError(f"{text}: the module has no {name!r}.")
        made = getattr(found, name)
        try:
            made = made() if callable(made) else made
        except InputError as error:
            raise InputError(f"{text}: {error}") from error
        except (Exception, SystemExit) as error:  # whatever a user's function raises
            raise InputError(f"{text} failed: {_told(error)}.") from error
    if not isinstance(made, kind):
        raise InputError(f"{text} makes {type(made).__name__}, and a {kind.__name__} is wanted.")
    return made


def runs_code(operator: str | None) -> bool:
    """Whether an operator's text, or a part of its `A + B`, is `package.module:factory`."""
    return operator is not None and any(map(_is_own, _parts(operator)))


def own_operator(stated: Stated, folder: Path = Path()) -> Stated | Operator:
    """The operator that a function of the user's makes, alone or within `A + B`; what names none is given back.

    Args:
        stated: an operator's string, or anything else.
        folder: what paths in the other parts start from.

    Raises:
        InputError: as `made_by` and `parse_operator`.
    """
    if not isinstance(stated, str) or not runs_code(stated):
        return stated
    return compose(
        [made_by(part, Operator) if _is_own(part) else parse_operator(part, folder) for part in _parts(stated)]
    )


def _parts(operator: str) -> list[str]:
    return [part.strip() for part in operator.split(" + ")]


def _is_own(part: str) -> bool:
    return is_factory(part) and part.partition(":")[0] not in OPERATORS


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
