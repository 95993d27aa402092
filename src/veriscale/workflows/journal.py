"""The run.json of an earlier run, to be repeated."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import msgspec

from veriscale.errors import InputError
from veriscale.settings import Settings, usual
from veriscale.workflows.earlier_results import hashes


@dataclass(frozen=True)
class Recorded:
    """What a run.json says that matters for repeating it.

    Attributes:
        settings: of the run, but for a tool's command: a program to run is taken from nobody but the user.
        input: the restored file, from the folder of the results; "-" for standard input, None where it was no file.
        input_sha256: its hash; of a scan that is all that is known of it.
        hashes: of what else decides the pictures, as `earlier_results.hashes`.
        volume: which one of a scan that holds several.
    """

    settings: Settings
    input: Path | None
    input_sha256: str | None
    hashes: dict[str, str | None]
    volume: int | None = None


class _Input(msgspec.Struct, frozen=True):
    sha256: str
    name: str | None = None
    volume: int | None = None


class _Prior(msgspec.Struct, frozen=True):
    sha256: str
    card: str | None = None
    guides_sha256: str | None = None


class _Certificate(msgspec.Struct, frozen=True):
    sha256: str


class _Run(msgspec.Struct, frozen=True):
    arguments: dict[str, Any]
    input: _Input | None = None
    prior: _Prior | None = None
    certificate: _Certificate | None = None
    guides: dict[str, str] = {}
    operator_files: str | None = None
    tool: str | None = None


def read_run(path: Path) -> Recorded:
    """A run.json of `veriscale restore`.

    Raises:
        InputError: it cannot be read, or is something else.
    """
    try:
        document = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
        known, given = {f.name for f in fields(Settings)}, document.get("arguments")
        if isinstance(given, dict) and (unknown := [k for k in given if k not in known]):
            raise msgspec.ValidationError(f"Object contains unknown field `{unknown[0]}` - at `$.arguments`")
        run = msgspec.convert(document, _Run)
        started = run.arguments.get("sigma0") is not None  # in the place of a dial position
        if empty := [k for k in usual() if run.arguments.get(k, 0) is None and not (started and k == "dial")]:
            raise msgspec.ValidationError(f"Expected a value, got `null` - at `$.arguments.{empty[0]}`")
        settings = msgspec.convert({**run.arguments, "command": None}, Settings)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{path} is not a run.json of veriscale restore: {error}.") from error
    decided = hashes(msgspec.to_builtins(run))
    if run.input is None:
        return Recorded(settings, None, None, decided)
    file = None if run.input.name is None else path.parent / run.input.name
    return Recorded(settings, file, run.input.sha256, decided, run.input.volume)
