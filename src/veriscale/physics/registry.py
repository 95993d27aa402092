"""Every operator by its name, and how strings and files name them."""

import re
import tomllib
import types
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any, get_args, get_type_hints

from veriscale.decimals import shortest
from veriscale.errors import InputError, closest
from veriscale.physics.blur import Blur
from veriscale.physics.composition import compose
from veriscale.physics.denoise import Denoise
from veriscale.physics.downsample import Downsample
from veriscale.physics.fourier import Fourier
from veriscale.physics.hdr import Clip
from veriscale.physics.inpaint import Inpaint
from veriscale.physics.jpeg import Jpeg
from veriscale.physics.nonlinear_blur import NonlinearBlur
from veriscale.physics.operator import Operator
from veriscale.physics.own_operator import OwnOperator
from veriscale.physics.sensing import Sensing
from veriscale.physics.slice_profile import SliceProfile

OPERATORS: dict[str, type[Operator]] = {
    operator.name: operator
    for operator in (Downsample, Denoise, Blur, Inpaint, Sensing, SliceProfile, Fourier, Clip, NonlinearBlur, Jpeg)
}
_CRAMPED = re.compile(rf"(\S\+\s*|\s\+)(?=[A-Za-z_][\w.]*:|({'|'.join(OPERATORS)})(\s|$))")
_NUMBER = r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?"


def parse_operator(text: str, folder: Path = Path()) -> Operator:
    """The operator that a string, a composition `A + B` or a TOML file names.

    Args:
        text: such as `downsample:factor=4,kernel=bicubic`; a path when it ends in `.toml`.
        folder: what paths inside the string start from; those inside a TOML file start from its own folder.

    Raises:
        InputError: an unknown name or key, a key that is missing or given twice, a value that is no number or out of
            range, a file that cannot be used, or parts that cannot follow one another.
    """
    if text.strip().endswith(".toml") and text.strip().partition(":")[0] not in OPERATORS:
        return read_operator_file(folder / text.strip())[0]
    try:
        return compose([_parse_one(part.strip(), folder) for part in text.split(" + ")])
    except InputError as error:
        if _CRAMPED.search(text) is None:
            raise
        raise InputError(f"Operator {text!r}: a + between two needs a space on both sides, as in 'A + B'.") from error


def read_operator_file(path: Path) -> tuple[Operator, str | None]:
    """The operator of a TOML file, and the noise it states.

    Tables `[[operator]]`, each with `name` and the keys of the operator's string, are applied in order; a top-level
    `noise`, a string or a number, is what `--noise` takes.

    Raises:
        InputError: no such file, not TOML, unknown keys, or as `parse_operator`.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"The operator file {path} cannot be read: {error.strerror or error}.") from error
    except (ValueError, RecursionError) as error:  # TOML's, Unicode's, a name with a zero byte; brackets in brackets
        raise InputError(f"The operator file {path} is not TOML: {error}.") from error
    known = ["operator", "noise"]
    for key in content:
        if key not in known:
            raise InputError(f"{path}: unknown key {key!r}; {closest(key, known)}.")
    tables = content.get("operator")
    tables = [tables] if isinstance(tables, dict) else tables
    if not isinstance(tables, list) or not tables or not all(isinstance(table, dict) for table in tables):
        raise InputError(f"{path} names no operator; write [[operator]] and below it name = and the operator's keys.")
    noise = content.get("noise")
    return compose([_from_table(table, path) for table in tables]), None if noise is None else _word(
        noise, "noise", path
    )


def _from_table(table: dict[str, Any], path: Path) -> Operator:
    words = {key: _word(value, key, path) for key, value in table.items()}
    if "name" not in words:
        raise InputError(f"{path}: an [[operator]] has no name; known: {', '.join(OPERATORS)}.")
    name = words.pop("name")
    try:
        return _build(name, words, path.parent)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _word(value: object, key: str, path: Path) -> str:
    """A TOML value as it stands in a string."""
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value) if isinstance(value, int) else shortest(value)
    if isinstance(value, list) and len(value) == 2:
        return "x".join(_word(item, key, path) for item in value)
    raise InputError(f"{path}: {key} is neither text nor a number, nor a list of two numbers.")


def _parse_one(text: str, folder: Path) -> Operator:
    name, _, rest = text.partition(":")
    if name not in OPERATORS and re.search(r"\w[./]\w", name):
        raise InputError(
            f"Unknown operator {name!r}; {closest(name, OPERATORS)}, or package.module:factory of your own, such as "
            "lab.optics:lens."
        )
    values: dict[str, str] = {}
    # a comma inside a path is no separator: a key must follow one
    for part in re.split(r",(?=[^,/]*=|$)", rest) if rest else []:
        key, found, value = part.partition("=")
        if not found:
            raise InputError(f"Operator {text!r}: {part!r} is not of the form key=value.")
        if key in values:
            raise InputError(f"Operator {text!r}: the key {key!r} is given twice.")
        values[key] = value
    return _build(name, values, folder)


def _build(name: str, values: dict[str, str], folder: Path) -> Operator:
    if name == OwnOperator.name:
        raise InputError(
            f"The operator {values.get('name', '')!r} is made of somebody's own functions; give it as `--operator` "
            "package.module:factory, or in Python as an object."
        )
    if name not in OPERATORS:
        raise InputError(f"Unknown operator {name!r}; {closest(name, OPERATORS)}.")
    operator = OPERATORS[name]
    hints = get_type_hints(operator)
    keys = {f.name: f for f in fields(operator) if f.init and f.metadata.get("key", True)}  # type: ignore[arg-type]
    for key in values:
        if key not in keys:
            raise InputError(f"Operator '{name}': unknown key {key!r}; {closest(key, keys)}.")
    arguments = {}
    for key, f in keys.items():
        if key in values:
            arguments[f.name] = _value(name, key, values[key], hints[f.name], f, folder)
        elif f.default is MISSING:
            raise InputError(f"Operator '{name}' needs {key}=…; its keys: {', '.join(keys)}.")
    return operator(**arguments)


def _value(name: str, key: str, text: str, hint: Any, f: "Field[Any]", folder: Path) -> object:
    """A value as its field's type wants it: text, path, integer, number, or two numbers AxB."""
    kinds = get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    if str in kinds:
        if not text:
            raise InputError(f"Operator '{name}': {key} has no value.")
        is_path = "file" in f.metadata and text.endswith(f.metadata["file"])
        return str(folder / text) if is_path else text
    if int in kinds:
        if not re.fullmatch(r"[-+]?[0-9]{1,19}", text):
            raise InputError(f"Operator '{name}': {key}={text} is not a whole number, such as {key}=1.")
        return int(text)
    numbers = text.split("x") if len(kinds) > 1 and tuple in map(_origin, kinds) else [text]
    if len(numbers) > 2 or not all(re.fullmatch(_NUMBER, n) for n in numbers):
        wanted = "a number or two, such as 4 or 4x1" if tuple in map(_origin, kinds) else "a number"
        raise InputError(f"Operator '{name}': {key}={text} is not {wanted}.")
    parsed = tuple(map(float, numbers))
    return parsed if len(parsed) == 2 else parsed[0]


def _origin(kind: Any) -> Any:
    return getattr(kind, "__origin__", kind)
