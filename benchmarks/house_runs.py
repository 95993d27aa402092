"""Running commands with a checkout, each as a process of its own in a fresh folder, and keeping what came of it."""

import fcntl
import hashlib
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import distributions
from pathlib import Path

from cache import FOLDER
from checkout import Checkout
from house_inputs import write_inputs
from house_matrix import Command, chain
from house_normal import normal, options
from results import ROOT

HOUSE = FOLDER / "house"
WORK = HOUSE / "work"  # one place for both checkouts, so that paths are the same
HOME = HOUSE / "home"  # empty
SOURCES = ("checkout.py", "house_inputs.py", "tools/enlarge.py", "warm_start.py")  # on which a kept outcome depends
DATED = ("calibrate", "python")  # a certificate has its date, and its hash covers that


class Runs:
    """The outcomes of one checkout's commands, from an earlier run of the same code where they are there.

    Args:
        checkout: whose code runs.
        among: the matrix.
        fresh: whether earlier outcomes are thrown away.
        cold: whether each command starts an interpreter of its own.
    """

    def __init__(self, checkout: Checkout, among: dict[str, Command], fresh: bool = False, cold: bool = False) -> None:
        self.checkout, self.among, self.cold = checkout, among, cold
        self.server: subprocess.Popen[str] | None = None
        self.day = today()
        self.store = HOUSE / f"{checkout.side}-{checkout.code}"
        self.inputs = HOUSE / f"inputs-{checkout.side}"
        if fresh:
            shutil.rmtree(self.store, ignore_errors=True)
            shutil.rmtree(self.inputs, ignore_errors=True)

    def outcome(self, name: str) -> Path:
        """Where a command's outcome lies, or will lie."""
        lines = [(n, self.among[n].line) for n in chain(name, self.among)]
        day = self.day if any(line.startswith(DATED) for _, line in lines) else ""
        key = hashlib.sha256(json.dumps([lines, day, _surroundings()]).encode()).hexdigest()[:16]
        return self.store / f"{name.replace('/', '-')}-{key}"

    def missing(self, names: Iterable[str]) -> list[str]:
        """What has not been run."""
        return [n for n in names if not self.outcome(n).exists()]

    def run(self, name: str) -> float:
        """Run a command, after those it needs; returns the seconds."""
        prior = next(self.checkout.package.rglob("photo.safetensors"))
        if not (self.inputs / self._stamp).exists():
            shutil.rmtree(self.inputs, ignore_errors=True)
            write_inputs(self.inputs, prior.parent)
            (self.inputs / self._stamp).touch()
        shutil.rmtree(WORK, ignore_errors=True)
        shutil.copytree(self.inputs, WORK)
        (WORK / self._stamp).unlink()
        (WORK / prior.name).symlink_to(prior)
        for needed in chain(name, self.among)[:-1]:
            _lay(self.outcome(needed), WORK)
        shutil.rmtree(HOME, ignore_errors=True)
        HOME.mkdir()
        was, begun = _contents(WORK), time.monotonic()
        code = self._command(self.among[name].arguments)
        seconds = time.monotonic() - begun
        _keep(self.outcome(name), was, code)
        return seconds

    def _command(self, arguments: list[str]) -> int:
        """Run a process; returns its exit code."""
        out, err = HOUSE / "stdout", HOUSE / "stderr"
        surroundings = self.checkout.surroundings(HOME, WORK / "train")
        if self.cold:
            with out.open("wb") as stdout, err.open("wb") as stderr:
                command = [sys.executable, *arguments]
                return subprocess.run(
                    command, cwd=WORK, env=surroundings, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr
                ).returncode
        if self.server is None:
            server = [sys.executable, str(ROOT / "benchmarks" / "warm_start.py")]
            self.server = subprocess.Popen(
                server, env=surroundings, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
            )
        out.unlink(missing_ok=True)
        request = {"arguments": arguments, "cwd": str(WORK), "stdout": str(out), "stderr": str(err)}
        self.server.stdin.write(json.dumps(request) + "\n")
        code = int(json.loads(self.server.stdout.readline())["code"])
        if not out.exists():
            raise SystemExit(f"{' '.join(arguments)} was ended by somebody before it began (exit code {code}).")
        return code

    def close(self) -> None:
        """End the process that commands are forked from."""
        if self.server is not None:
            self.server.stdin.close()
            self.server.wait()
            self.server = None

    @property
    def _stamp(self) -> str:
        return f".made-{self.checkout.code}-{_surroundings()}"

    def outputs(self, name: str) -> dict[str, bytes]:
        """Everything that came of a command, by name, as far as it has to be the same."""
        place, folder = self.outcome(name), self.checkout.folder
        found = {k: normal(k, (place / k).read_bytes(), folder) for k in ("stdout", "stderr")}
        if self.among[name].group == "help":
            found["stdout"] = options(found["stdout"])
        facts = json.loads((place / "facts.json").read_text())
        found["exit code"] = str(facts["exit code"]).encode()
        found |= {f"{path} is gone": b"" for path in facts["gone"]}
        files = place / "files"
        for path in sorted(p for p in files.rglob("*") if p.is_file()):
            found[path.relative_to(files).as_posix()] = normal(path.name, path.read_bytes(), folder)
        return found


@contextmanager
def alone() -> Iterator[None]:
    """Nobody else may use the folder.

    Raises:
        SystemExit: somebody does.
    """
    HOUSE.mkdir(parents=True, exist_ok=True)
    with (HOUSE / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SystemExit(f"Another run uses {HOUSE}; wait for it.") from None
        yield


def today() -> str:
    """The day that a certificate made now would bear."""
    return datetime.now(UTC).date().isoformat()


def differences(before: dict[str, bytes], after: dict[str, bytes]) -> dict[str, tuple[bytes, bytes]]:
    """The outputs that are not the same, by name, with both contents; one that is not there is empty, and said."""
    absent = b"(not there)"
    names = [*before, *(n for n in after if n not in before)]
    pairs = {n: (before.get(n, absent), after.get(n, absent)) for n in names}
    return {n: pair for n, pair in pairs.items() if pair[0] != pair[1]}


@cache
def _surroundings() -> str:
    """A hash of the interpreter, the libraries and what the commands are given."""
    parts = [sys.version, *sorted(f"{d.name} {d.version}" for d in distributions())]
    parts += [(ROOT / "benchmarks" / s).read_text() for s in SOURCES]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _contents(folder: Path) -> dict[str, bytes]:
    files = (p for p in folder.rglob("*") if p.is_file() and not p.is_symlink())
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in files}


def _keep(place: Path, was: dict[str, bytes], code: int) -> None:
    """Keep what a command wrote, said and took away; the folder appears whole."""
    draft = HOUSE / "draft"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    now = _contents(WORK)
    for name, content in now.items():
        if was.get(name) != content:
            target = draft / "files" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
    for stream in ("stdout", "stderr"):
        shutil.move(HOUSE / stream, draft / stream)
    facts = {"exit code": code, "gone": sorted(set(was) - set(now))}
    (draft / "facts.json").write_text(json.dumps(facts))
    place.parent.mkdir(parents=True, exist_ok=True)
    draft.rename(place)


def _lay(place: Path, folder: Path) -> None:
    """Put what an earlier command wrote into a folder, and take away what it took away."""
    if (place / "files").exists():
        shutil.copytree(place / "files", folder, dirs_exist_ok=True)
    for name in json.loads((place / "facts.json").read_text())["gone"]:
        (folder / name).unlink(missing_ok=True)
