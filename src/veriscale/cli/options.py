"""Settings as options: a command gets one for every setting it knows."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Annotated, Any, TypeVar, get_type_hints

from cyclopts import Parameter, Token

from veriscale.settings import KINDS, Settings, as_kind

Command = TypeVar("Command", bound=Callable[..., int])


def number(name: str, kind: type) -> Parameter:
    """The reading of a number's option as Python's argument is read: cyclopts itself rounds 1.9 to a whole one."""

    def convert(_: Any, tokens: Sequence[Token]) -> Any:
        return as_kind(name, tokens[0].value, kind)

    return Parameter(converter=convert)


def takes_settings(command: Command) -> Command:
    """Put an option in the place of `**given` for every setting that is for a command of this name."""
    signature, types = inspect.signature(command), get_type_hints(Settings)
    numbers = {name: number(name, kind) for name, kind in KINDS.items() if kind in (int, float)}
    own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
    first = next((i for i, p in enumerate(own) if p.kind is p.KEYWORD_ONLY), len(own))
    options = [
        inspect.Parameter(
            f.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[
                types[f.name], Parameter(help=f.metadata["help"], negative=""), numbers.get(f.name, Parameter())
            ],
        )
        for f in fields(Settings)
        if command.__name__ in f.metadata["commands"] and f.name not in signature.parameters
    ]
    parameters = [*own[: first + 1], *options, *own[first + 1 :]]
    command.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]  # as inspect reads it
    command.__annotations__ = {p.name: p.annotation for p in parameters} | {"return": int}
    return command
