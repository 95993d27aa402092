"""Which functions of the package one command calls, and how often it moves from file to file.

    python benchmarks/house_tracer.py PACKAGE OUTPUT ARGUMENT …

runs `python -m veriscale ARGUMENT …` in this process, with the checkout on PYTHONPATH, and writes to OUTPUT as JSON

- files: the package's files in which a function was called;
- moves: [caller's file, callee's file, times]: calls whose nearest caller in the package, past the libraries between,
  lies in another file. A generator that goes on counts as called again.

Counted is what is called after import: bodies of modules, and what they call, are left out wherever in the run they are
imported.
"""

import json
import runpy
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any


class Tracer:
    """Told of every call by `sys.setprofile`.

    Args:
        package: the folder of the code that counts.
    """

    def __init__(self, package: Path) -> None:
        self.package = f"{package.resolve()}/"
        self.files: set[str] = set()
        self.moves: Counter[tuple[str, str]] = Counter()
        self.importing = 0

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        """Count a call, or see a module's import begin or end."""
        file = self._file(frame)
        if file is None:
            return
        if frame.f_code.co_name == "<module>":
            if frame.f_globals.get("__name__") != "__main__":
                self.importing += {"call": 1, "return": -1}.get(event, 0)
            return
        if event != "call" or self.importing:
            return
        self.files.add(file)
        caller = frame.f_back
        while caller is not None and (self._file(caller) is None or caller.f_code.co_name == "<module>"):
            caller = caller.f_back
        if caller is not None and self._file(caller) != file:
            self.moves[self._file(caller) or "", file] += 1

    def _file(self, frame: FrameType) -> str | None:
        name = frame.f_code.co_filename
        return name.removeprefix(self.package) if name.startswith(self.package) else None


def main(package: str, output: str, *arguments: str) -> None:
    tracer = Tracer(Path(package))
    sys.argv = ["veriscale", *arguments]
    sys.setprofile(tracer)
    with suppress(SystemExit):
        runpy.run_module("veriscale", run_name="__main__", alter_sys=True)
    sys.setprofile(None)
    moves = [[a, b, n] for (a, b), n in tracer.moves.most_common()]
    Path(output).write_text(json.dumps({"files": sorted(tracer.files), "moves": moves}))


if __name__ == "__main__":
    main(*sys.argv[1:])
