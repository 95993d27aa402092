"""What is to be restored, and where each result goes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from veriscale.errors import InputError
from veriscale.imaging.formats.registry import format_of, is_picture
from veriscale.workflows.inputs import collect
from veriscale.workflows.scans.reading import takes_scan
from veriscale.workflows.scans.scan_names import names_file


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
    check_output(output, [item.path for item in items], many)
    if output is not None and not many and output.suffix and not output.is_dir():
        if not takes_scan(items[0].path):
            format_of(output)
        return [Job(items[0].path, output.parent, items[0].stem, output)]
    return [Job(i.path, i.path.parent if output is None else output / i.folder, i.stem) for i in items]


def check_output(output: Path | None, inputs: Sequence[Path], many: bool) -> None:
    """Raise `InputError` where an output that names a file does not suit the inputs.

    Args:
        output: as given.
        inputs: what is taken.
        many: whether there is more than a single file.
    """
    if output is None or output.is_dir() or not (is_picture(output) or names_file(output)):
        return
    if many:
        kind = "picture" if is_picture(output) else "scan"
        raise InputError(f"`--output` {output} names a {kind}, and there are several inputs; name a folder.")
    if is_picture(output) and takes_scan(inputs[0]):
        raise InputError(f"`--output` names a picture ({output.suffix}), and the input is a scan; use .nii.gz.")
