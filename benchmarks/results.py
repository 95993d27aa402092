"""Rows of measured numbers, and the files in docs/results that keep them."""

import json
import math
import os
import re
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "docs" / "results"
_DIGITS = 5  # significant ones kept: finer than any bar
_NUMBER = r"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?"


@dataclass(frozen=True)
class Row:
    """One measured number.

    Args:
        id: such as "photo.psnr.bsd100_x4_dial0".
        what: the number in words.
        value: as measured; five significant digits are kept.
        unit: of value, interval and bar; empty for pure numbers.
        interval: 95 % unless `what` says else.
        bar: what it should be: ">= 27.2", "> 5", "<= 1", "< 2" or "-1..1"; none for a number that is only reported.
        against: the same number for others, by name.

    Raises:
        ValueError: a number is not finite, the interval is none, or the bar cannot be read.
    """

    id: str
    what: str
    value: float
    unit: str = ""
    interval: tuple[float, float] | None = None
    bar: str | None = None
    against: Mapping[str, float] | None = None

    def __post_init__(self) -> None:
        numbers = [self.value, *(self.interval or ()), *(self.against or {}).values()]
        if not all(map(math.isfinite, numbers)):
            raise ValueError(f"row {self.id} holds a number that is not finite: {numbers}")
        if self.interval is not None and (len(self.interval) != 2 or self.interval[0] > self.interval[1]):
            raise ValueError(f"row {self.id} has {self.interval} for an interval: two ends, the lower first")
        if self.bar is not None:
            meets(self.value, self.bar)

    @property
    def holds(self) -> bool | None:
        """Whether the value as written meets the bar; None without one."""
        return None if self.bar is None else meets(rounded(self.value), self.bar)

    def as_json(self) -> dict[str, Any]:
        """The row as its file keeps it; what it does not have is left out."""
        entry: dict[str, Any] = {"id": self.id, "what": self.what, "value": rounded(self.value), "unit": self.unit}
        if self.interval is not None:
            entry["interval"] = [rounded(end) for end in self.interval]
        if self.bar is not None:
            entry |= {"bar": self.bar, "holds": self.holds}
        if self.against is not None:
            entry["against"] = {name: rounded(number) for name, number in self.against.items()}
        return entry


def meets(value: float, bar: str) -> bool:
    """Whether a value meets a bar: ">= 2", "> 2", "<= 2", "< 2", or "1..2" with both ends included.

    Raises:
        ValueError: the bar is none of these.
    """
    if one_sided := re.fullmatch(rf"(>=|>|<=|<) *({_NUMBER})", bar):
        limit = float(one_sided[2])
        return {">=": value >= limit, ">": value > limit, "<=": value <= limit, "<": value < limit}[one_sided[1]]
    if both := re.fullmatch(rf"({_NUMBER})\.\.({_NUMBER})", bar):
        return float(both[1]) <= value <= float(both[2])
    raise ValueError(f"{bar!r} is not a bar: write '>= 2', '> 2', '<= 2', '< 2' or '1..2'")


def rounded(value: float) -> float:
    """The value to five significant digits; whole numbers stay whole."""
    return value if isinstance(value, int) else float(f"{value:.{_DIGITS}g}")


def write_results(name: str, rows: Sequence[Row], notes: str, seconds: float, folder: Path = RESULTS) -> Path:
    """Write docs/results/NAME.json, or that of another folder, in one step, with the commit and the kind of machine.

    Raises:
        ValueError: two rows share an id.
    """
    ids = [row.id for row in rows]
    if twice := sorted({row_id for row_id in ids if ids.count(row_id) > 1}):
        raise ValueError(f"rows share an id: {', '.join(twice)}")
    content = {
        "benchmark": name,
        "commit": commit(),
        "machine": machine(),
        "seconds": rounded(seconds),
        "rows": [row.as_json() for row in rows],
        "notes": notes,
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    with tempfile.NamedTemporaryFile("w", dir=folder, suffix=".tmp", delete=False, encoding="utf-8") as file:
        json.dump(content, file, indent=1, ensure_ascii=False)
        file.write("\n")
    os.chmod(file.name, 0o644)  # a temporary file is its owner's alone
    os.replace(file.name, path)
    return path


def print_and_write(name: str, rows: Sequence[Row], notes: str, seconds: float, part: bool) -> None:
    """Print rows and write them; those of a part of a benchmark's items are printed alone."""
    for row in rows:
        print(f"{row.id}: {row.value:.4g} {row.unit} {row.interval} {row.bar or ''} {row.against}")
    if part:
        print("A part of the table is no result: nothing is written.")
    else:
        print(write_results(name, rows, notes, seconds))


def commit() -> str:
    """The short commit, with "-dirty" where src/ or a benchmark differs from it."""

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()

    changed = git("status", "--porcelain", "--", "src", "benchmarks")
    return git("rev-parse", "--short", "HEAD") + ("-dirty" if changed else "")


def machine() -> str:
    """The kind of machine, such as "2 cores, bf16": what places a timing, and nothing that names it."""
    cpuinfo = Path("/proc/cpuinfo")
    flags = set(cpuinfo.read_text().split()) if cpuinfo.exists() else set()
    kind = "bf16" if flags & {"amx_bf16", "avx512_bf16"} else "no bf16"
    return f"{os.cpu_count()} cores, {kind}"
