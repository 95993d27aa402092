"""house.settings.*: where the settings of a restoration are listed together, and what one more of a kind costs.

    python benchmarks/house_settings.py [--before DIR] [--after DIR] [--list]
        [--option-commit SHA] [--format-commit SHA] [--sampler-commit SHA] [--loss-commit SHA]

A place is a signature, call, dictionary, class, tuple, list or set that names five or more of the ten settings itself:
as parameters, keywords or arguments, keys, fields or elements, by name, attribute or string. `--list` prints the
places and writes no result.

The commits each add a restoration option, a file format, a sampler or a loss, and nothing else; the files below src/
that they touch are counted. A row is written only where its commit is given.
"""

import argparse
import ast
import subprocess
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from checkout import Checkout
from results import Row, write_results

RESTORATION = frozenset(
    ("dial", "path", "samples", "anchor", "posterior", "preset", "consistent", "sampler", "steps", "seed")
)
TOGETHER = 5
COSTS = {"option": "<= 4", "format": "<= 2", "sampler": "<= 2", "loss": "<= 2"}


@dataclass(frozen=True)
class Place:
    """Where settings stand together, and how many."""

    file: str
    line: int
    kind: str
    count: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, default=Path())
    parser.add_argument("--after", type=Path, default=Path())
    parser.add_argument("--list", action="store_true")
    for kind in COSTS:
        parser.add_argument(f"--{kind}-commit", metavar="SHA")
    v = parser.parse_args()
    begun = time.monotonic()
    before, after = (Checkout(side, getattr(v, side).resolve()) for side in ("before", "after"))
    was, now = places(before.package), places(after.package)
    if v.list:
        print(*(f"{p.file}:{p.line} {p.kind}, {p.count} settings" for p in now), sep="\n")
        return
    check_names(after.package)
    files = {name: len({p.file for p in found}) for name, found in (("before", was), ("after", now))}
    what = "places where five or more of ten restoration settings are listed"
    rows = [
        Row("house.settings.places", what, len(now), bar="<= 3", against={"before": len(was)}),
        Row("house.settings.files", "files they are in", files["after"], against={"before": files["before"]}),
    ]
    commits = {kind: getattr(v, f"{kind}_commit") for kind in COSTS}
    for kind, sha in commits.items():
        if sha is not None:
            rows.append(
                Row(
                    f"house.settings.{kind}",
                    f"source files touched by a new {kind}",
                    len(touched(after, sha)),
                    bar=COSTS[kind],
                )
            )
    for row in rows:
        print(row.id, row.value, row.bar, row.against)
    named = "".join(f"; {kind} by {sha}" for kind, sha in commits.items() if sha is not None)
    notes = f"{before.label} against {after.label}{named}. The settings: {', '.join(sorted(RESTORATION))}."
    write_results("house_settings", rows, notes, time.monotonic() - begun)


def places(package: Path, names: Collection[str] = RESTORATION) -> list[Place]:
    """Every place below a folder, by file and line."""
    found = []
    for path in sorted(package.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            count = len(set(_listed(node)) & set(names))
            if count >= TOGETHER:
                file = path.relative_to(package).as_posix()
                found.append(Place(file, getattr(node, "lineno", 0), type(node).__name__, count))
    return sorted(found, key=lambda p: (p.file, p.line))


def _listed(node: ast.AST) -> Iterator[str | None]:
    """The names that a node lists itself, not those that its parts list."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        a = node.args
        yield from (p.arg for p in (*a.posonlyargs, *a.args, *a.kwonlyargs))
    elif isinstance(node, ast.ClassDef):
        for statement in node.body:
            if isinstance(statement, ast.AnnAssign):
                yield _said(statement.target)
            elif isinstance(statement, ast.Assign):
                yield from map(_said, statement.targets)
    elif isinstance(node, ast.Call):
        yield from (k.arg for k in node.keywords)
        yield from map(_said, node.args)
    elif isinstance(node, ast.Dict):
        yield from (_said(k) for k in node.keys if k is not None)
    elif isinstance(node, ast.Tuple | ast.List | ast.Set):
        yield from map(_said, node.elts)


def _said(node: ast.AST) -> str | None:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def check_names(package: Path) -> None:
    """Raise `SystemExit` where a setting is not called so any more in settings.py: its places would not be found."""
    path = package / "settings.py"
    if not path.exists():
        return
    classes = (n for n in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(n, ast.ClassDef))
    fields = {name for c in classes for name in _listed(c)}
    if missing := sorted(RESTORATION - fields):
        raise SystemExit(f"settings.py has no {', '.join(missing)}: put the new name beside the old into RESTORATION.")


def touched(checkout: Checkout, sha: str) -> list[str]:
    """The files below src/ that a commit touches."""
    command = ["git", "-C", str(checkout.folder), "show", "--name-only", "--format=", sha, "--", "src"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()


if __name__ == "__main__":
    main()
