"""Printing: results on stdout, everything else on stderr; a progress bar on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

PATIENCE = 2.0  # seconds without progress shown
INTERVAL = 10.0  # seconds between plain lines


def complain(sentence: str) -> None:
    """One line on stderr."""
    print(f"veriscale: {' '.join(sentence.split())}", file=sys.stderr)


def summary(failed: int, of: int, end: str = ".") -> int:
    """How many inputs failed of how many, on stderr; returns the exit code."""
    if failed and of > 1:
        complain(f"{failed} of {of} inputs failed{end}")
    return 2 if failed else 0


def say(line: str, quiet: bool = False) -> None:
    """A remark, on stderr."""
    if not quiet:
        print(line, file=sys.stderr)


class Meter:
    """Told `(what, done, of)`; shows it once the work has taken two seconds."""

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet
        self.begun = time.monotonic()
        self.shown = self.begun
        self.since = 0, self.begun  # what was done when
        self.last = 0, 0, self.begun
        self.bar: Progress | None = None

    def __call__(self, what: str, done: int, of: int) -> None:
        """Show the state of the work."""
        now = time.monotonic()
        if of != self.last[1] or done < self.last[0]:  # other work, which may have been taken up in its midst
            self.since = (done, now) if done > 1 else (0, self.last[2])
        self.last = done, of, now
        if self.quiet or now - self.begun < PATIENCE:
            return
        if sys.stderr.isatty():
            self._on_terminal(what, done, of)
        elif now - self.shown >= INTERVAL or done == of:
            self.shown = now
            before, then = self.since
            left = f", {(now - then) / (done - before) * (of - done):.0f} s left" if done > before else ""
            print(f"{what}: {done} of {of}{left}", file=sys.stderr)

    def _on_terminal(self, what: str, done: int, of: int) -> None:
        if self.bar is None:
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self.bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self.bar.start()
            self.bar.add_task(what, completed=done, total=of)
        self.bar.update(self.bar.task_ids[0], description=what, completed=done, total=of)

    def close(self) -> None:
        """Take the bar away."""
        if self.bar is not None:
            self.bar.stop()


@contextmanager
def meter(quiet: bool) -> Iterator[Meter]:
    """A meter that is taken away whatever happens."""
    shown = Meter(quiet)
    try:
        yield shown
    finally:
        shown.close()
