"""Something to be said of one of the files."""

from dataclasses import dataclass
from pathlib import Path

from veriscale.errors import about


@dataclass(frozen=True)
class Remark:
    """A sentence, and the file it is about.

    Attributes:
        text: need not name the file.
        file: a label of a scan, whose name is not told; None where it is about all of them.
        plan: whether it is what will be done with the file, and nothing that was found out.
    """

    text: str
    file: Path | str | None = None
    plan: bool = False

    def __str__(self) -> str:
        return self.text if self.file is None else about(self.text, self.file)
