"""Standard input and standard output, as `-`, in the place of files."""

import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from veriscale.errors import InputError
from veriscale.settings import positions
from veriscale.workflows.remark import Remark

if TYPE_CHECKING:
    from veriscale.workflows.batch import Batch
    from veriscale.workflows.jobs import Job

STREAM = Path("-")


def words(arguments: Sequence[str]) -> list[str]:
    """A command's words, with `-` as the path it is, and `-,-,1` and `-1,1,1` as spacings, and not as options."""
    told = ["./-" if word == "-" else word for word in arguments]
    for k in reversed(range(len(told) - 1)):
        if told[k] == "--spacing" and re.match(r"-[\d.,]", told[k + 1]):
            told[k : k + 2] = [f"{told[k]}={told[k + 1]}"]
    return told


@dataclass(frozen=True)
class Streams:
    """What a command reads and writes, with files that stand for the streams.

    Attributes:
        inputs, output: as given, but for the streams.
        reads, writes: whether standard input and output are meant.
        results: standard output; while a command works, whatever else is printed goes to standard error.
    """

    inputs: Sequence[Path]
    output: Path | None
    reads: bool
    writes: bool
    results: TextIO

    def checked(self, batch: "Batch", jobs: "list[Job]") -> "list[Job]":
        """The jobs, where they suit the streams; `InputError` where more than one picture would be written."""
        v = batch.restorer.settings
        more = {
            "all positions of `--dial` but one": len(positions(v.dial or "0")) > 1,
            "`--samples`": v.samples,
            "`--certificate`": v.certificate,
            "`--report`": batch.report,
        }
        self.check_one(len(jobs), more)
        if self.reads and (v.scale, v.operator, v.certificate) == (None, None, None):
            raise InputError("Standard input has no sidecar that tells what it is; say `--scale` or `--operator`.")
        return [replace(job, piped=self.reads) for job in jobs]

    def check_one(self, files: int, more: Mapping[str, object]) -> None:
        """Raise `InputError` where more than one picture would go to standard output: of several files, or what else.

        Args:
            files: how many are taken for input.
            more: what makes more than one picture of a file, and whether it is asked for.
        """
        folder = any(path.is_dir() for path in self.inputs)
        every = {"folders": folder, "all inputs but one": files > 1, **more}
        if asked := [what for what, is_asked in every.items() if self.writes and is_asked]:
            raise InputError(f"Standard output takes one picture; leave out {asked[0]}, or name a folder.")

    def named(self, remark: Remark) -> Remark:
        """A remark as it is said: standard input has a file for a while, and no folder."""
        return replace(remark, file=Path(remark.file.name)) if self.reads and isinstance(remark.file, Path) else remark

    def deliver(self, picture: str | Path) -> None:
        """Write a picture's file to standard output."""
        with open(picture, "rb") as file:
            shutil.copyfileobj(file, self.results.buffer)
        self.results.buffer.flush()


@contextmanager
def streams(inputs: Sequence[Path], output: Path | None) -> Iterator[Streams]:
    """Files in the place of `-`, in a folder that goes when the work is done.

    Raises:
        InputError: standard input is not alone, or what comes of it has no name.
    """
    reads, writes = STREAM in inputs, output == STREAM
    if reads and len(inputs) > 1:
        raise InputError("Standard input is one picture; give - alone.")
    if reads and not writes and (output is None or not output.suffix or output.is_dir()):
        raise InputError(
            "What comes from standard input has no name; say `--output`, a file, or - for standard output."
        )
    results = sys.stdout
    if not reads and not writes:
        with redirect_stdout(sys.stderr):
            yield Streams(inputs, output, reads, writes, results)
        return
    with redirect_stdout(sys.stderr), tempfile.TemporaryDirectory(prefix="veriscale-") as folder:
        source = Path(folder, "standard input")
        if reads:
            with source.open("wb") as file:
                shutil.copyfileobj(sys.stdin.buffer, file)
        try:
            to = Path(folder, "out") if writes else output
            yield Streams([source] if reads else inputs, to, reads, writes, results)
        except InputError as error:
            raise InputError(str(error).replace(f"{folder}/", "")) from error
