"""house.bytes.*: every byte that two checkouts of the project write and say, compared over a matrix of commands.

    python benchmarks/house_bytes.py --before DIR --after DIR [--only PATTERN …] [--fresh] [--list]

DIR is a checkout (`git worktree add DIR COMMIT` makes one); its `src` is put on PYTHONPATH of this interpreter. Both
run the matrix of house_commands.py one process after the other, in a folder of the same name with the same files, and
result files, run.json, certificates, reports, sidecars, stdout, stderr and exit codes are compared. What may differ is
listed in house_normal.py and in the notes of the result.

What ran stays in benchmarks/.cache/house by the content of DIR/src, so that after a change only `--after` runs again:

    python benchmarks/house_bytes.py --before ../old --after . --only 'calibrate*' masks

runs the commands whose name or group is given, with what they need, and writes no result. `--fresh` runs everything
anew, `--cold` starts an interpreter for each command instead of forking one that has loaded torch (warm_start.py; the
same, and three times slower), `--list` prints the matrix. A certificate bears its date: commands that make one run
again on another day. The exit code is 1 where something differs.
"""

import argparse
import shutil
import subprocess
import sys
import time
from pathlib import Path

from checkout import Checkout
from house_commands import SHIPPED
from house_matrix import Command, chosen, commands
from house_normal import BESIDE, FORGIVEN, excerpt
from house_runs import HOUSE, Runs, alone, differences, today
from results import Row, write_results

SECONDS = {"refused": 0.7, "help": 0.6, "calibrate": 3.0, "train": 14.0}  # of one command, by group
USUAL = 1.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, default=Path())
    parser.add_argument("--after", type=Path, default=Path())
    parser.add_argument("--only", nargs="+", default=[], metavar="PATTERN")
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--cold", action="store_true")
    parser.add_argument("--list", action="store_true")
    v = parser.parse_args()
    among = commands()
    names = chosen(v.only, among)
    if not names:
        parser.error(f"no command's name or group is like {' '.join(v.only)}; --list shows them")
    if v.list:
        print(*(f"{among[n].group:<10} {n:<26} {among[n].line}" for n in names), sep="\n")
        return
    begun = time.monotonic()
    with alone():
        sides = [Runs(Checkout(s, getattr(v, s).resolve()), among, v.fresh, v.cold) for s in ("before", "after")]
        _run(sides, names, among)
    before, after = sides
    if {today()} != {r.day for r in sides}:
        raise SystemExit("The day has changed, and certificates bear their date: start again.")
    found = {n: differences(before.outputs(n), after.outputs(n)) for n in names}
    for name, outputs in found.items():
        for output, (old, new) in outputs.items():
            print(f"\n{name}: {output}\n{excerpt(output, old, new)}")
    count = sum(map(len, found.values()))
    changed = [n for n in names if found[n]]
    print(f"\n{count} differences in {len(changed)} of {len(names)} commands {' '.join(changed)}")
    if not v.only:
        print(write_results("house_bytes", _rows(after, names, found), _notes(sides), time.monotonic() - begun))
    sys.exit(count > 0)


def _run(sides: list[Runs], names: list[str], among: dict[str, Command]) -> None:
    """Run what has not been run, after a word about how long that takes."""
    todo = [(runs, name) for runs in sides for name in runs.missing(names)]
    estimate = sum(SECONDS.get(among[name].group, USUAL) for _, name in todo)
    print(f"house_bytes: {len(names)} commands, {len(todo)} runs to do, about {estimate / 60:.1f} minutes", flush=True)
    if todo:  # the first who draws a figure makes matplotlib look for fonts, and that is said on stderr
        surroundings = sides[0].checkout.surroundings(HOUSE, HOUSE)
        subprocess.run([sys.executable, "-c", "import matplotlib.font_manager"], env=surroundings, check=False)
    for k, (runs, name) in enumerate(todo, start=1):
        print(f"  {k} of {len(todo)}: {runs.checkout.side} {name}, {runs.run(name):.1f} s", flush=True)
    for runs in sides:
        runs.close()
    shutil.rmtree(HOUSE / "work", ignore_errors=True)


def _rows(after: Runs, names: list[str], found: dict[str, dict[str, tuple[bytes, bytes]]]) -> list[Row]:
    outputs = {n: after.outputs(n) for n in names}
    bound = [n for n in SHIPPED if outputs[n]["exit code"] == b"0" and "out/unit_x4_trusted.png" in outputs[n]]
    return [
        Row("house.bytes.differences", "outputs that differ", sum(map(len, found.values())), bar="<= 0"),
        Row("house.bytes.commands", "commands run with both checkouts", len(names), bar=">= 25"),
        Row("house.bytes.outputs", "files, streams and exit codes compared", sum(map(len, outputs.values()))),
        Row("house.bytes.certificates", "shipped certificates that bind", len(bound), bar=">= 4"),
    ]


def _notes(sides: list[Runs]) -> str:
    before, after = (r.checkout.label for r in sides)
    return f"{before} against {after}, one thread. Not compared: {'; '.join([*FORGIVEN, *BESIDE])}."


if __name__ == "__main__":
    main()
