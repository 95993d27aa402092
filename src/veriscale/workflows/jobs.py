"""What is to be restored, and where each result goes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from veriscale.errors import InputError
from veriscale.imaging.formats.registry import format_of, is_picture
from veriscale.workflows.inputs import collect
from veriscale.workflows.scans.reading import takes_scan


@dataclass(frozen=True)
class Job:
    """One input and where its results go."""

    path: Path
    folder: Path
    name: str  # what the results' stem is made from
    file: Path | None = None  # the result, where the user named it
    piped: bool = False  # whether the path stands for standard input


def jobs_of(inputs: Sequence[str | Path], output: Path | None, say: Callable[[str], None]) -> list[Job]:
    """All inputs, each with its place.

    Raises:
        InputError: as `collect`, or the output does not suit the inputs.
    """
    items, many = collect(inputs, output, say, scans=True)
    if many and output is not None and is_picture(output) and not output.is_dir():
        raise InputError(f"`--output` {output} names a picture, and there are several inputs; name a folder.")
    if output is not None and not many and output.suffix and not output.is_dir():
        if not takes_scan(items[0].path):
            format_of(output)
        return [Job(items[0].path, output.parent, items[0].stem, output)]
    return [Job(i.path, i.path.parent if output is None else output / i.folder, i.stem) for i in items]
