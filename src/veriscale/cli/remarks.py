"""What is said of the files of one command: of up to twenty at once, of more at the end and equal things once."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from veriscale.cli.console import complain, say, summary
from veriscale.workflows.remark import Remark

MANY = 20
_NAMED = 3  # files that a remark about many names


class Remarks:
    """Hears remarks and failures, and says them on stderr.

    Attributes:
        of: number of files, set when it is known.
        failed: so far.
    """

    def __init__(self, quiet: bool, plans: bool = False) -> None:
        """Failures are said in any case, what will be done with each of many files where `plans` is set."""
        self.quiet, self.plans, self.of = quiet, plans, 1
        self.failed: list[Remark] = []
        self.heard: list[Remark] = []
        self.warned: list[Remark] = []

    @property
    def many(self) -> bool:
        """Whether there are too many files for a line each."""
        return self.of > MANY

    def hear(self, remark: Remark) -> None:
        """Something to be said."""
        if not self.many or remark.file is None or (remark.plan and self.plans):
            say(str(remark), self.quiet)
        elif not remark.plan:
            self.heard.append(remark)

    def warn(self, facts: Mapping[str, Any]) -> None:
        """Keep what of one result must be said aloud; unless quiet, that is among the remarks already."""
        warning = facts.get("certificate", {}).get("warning")
        if self.quiet and warning:
            self.warned.append(Remark(warning))

    def fail(self, failure: Remark) -> None:
        """Why a file failed."""
        self.failed.append(failure)
        if not self.many:
            complain(str(failure))

    def close(self, count: str | None = None) -> int:
        """Say what is left to be said, the count of what was done before the failures; returns the exit code."""
        for alike in grouped(self.heard):
            say(_together(alike, _NAMED), self.quiet)
        for alike in grouped(self.warned):
            complain(f"{f'{len(alike)} files: ' if len(alike) > 1 else ''}{alike[0]}")
        if count is not None and self.of > 1:
            say(count, self.quiet)
        code = summary(len(self.failed), self.of, ":" if self.many else ".")
        for alike in grouped(self.failed) if self.many else []:
            complain(_together(alike, len(alike)))
        return code


def grouped(remarks: Sequence[Remark]) -> list[list[Remark]]:
    """Remarks that are equal but for numbers and the names of their files, together."""
    groups: dict[str, list[Remark]] = {}
    for remark in remarks:
        groups.setdefault(re.sub(r"\d+(\.\d+)?(e-?\d+)?", "0", _bare(remark)), []).append(remark)
    return list(groups.values())


def _bare(remark: Remark) -> str:
    return remark.text.replace(str(remark.file), "").lstrip(": ")


def _together(alike: Sequence[Remark], named: int) -> str:
    if len(alike) == 1:
        return str(alike[0])
    names = ", ".join(str(r.file) for r in alike[:named])
    rest = f" and {len(alike) - named} more" if len(alike) > named else ""
    numbers = "" if len({_bare(r) for r in alike}) == 1 else "; numbers are the first one's"
    return f"{len(alike)} files: {_bare(alike[0])} ({names}{rest}{numbers})"
