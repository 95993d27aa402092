"""house.path.*: how far one `veriscale restore` of one PNG goes through the package; the package's size and circles.

    python benchmarks/house_path.py --before DIR --after DIR [--list]

DIR is a checkout. Each restores one PNG at dial 0, ×4 by the prior photo, in a process of its own under
house_tracer.py, which says what counts as a file entered and a move. `--list` prints files, moves and circles and
writes no result.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from checkout import Checkout
from house_inputs import part
from house_shape import circles, lines
from results import ROOT, Row, write_results

ARGUMENTS = ("restore", "cat.png", "--scale", "4")
ROWS = {
    "files": ("files of the package entered by one restore of one PNG, after import", "<= 35"),
    "moves": ("moves between files of the package in it: calls from another file", "<= 120"),
    "circles": ("circles of imports, at the top of modules or inside functions", "<= 0"),
    "lines": ("source lines of the package", "< 16100"),
    "cli_lines": ("source lines of cli", "<= 900"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, default=Path())
    parser.add_argument("--after", type=Path, default=Path())
    parser.add_argument("--list", action="store_true")
    v = parser.parse_args()
    print("about 20 seconds", flush=True)
    begun = time.monotonic()
    before, after = (Checkout(side, getattr(v, side).resolve()) for side in ("before", "after"))
    if v.list:
        _print(after)
        return
    was, now = measured(before), measured(after)
    rows = [
        Row(f"house.path.{name}", what, now[name], bar=bar, against={"before": was[name]})
        for name, (what, bar) in ROWS.items()
    ]
    for row in rows:
        print(row.id, row.value, row.bar, row.against)
    notes = f"{before.label} against {after.label}: veriscale {' '.join(ARGUMENTS)}, a picture of 24×20 pixels."
    write_results("house_path", rows, notes, time.monotonic() - begun)


def measured(checkout: Checkout) -> dict[str, int]:
    """The rows' values for a checkout."""
    seen = traced(checkout)
    return {
        "files": len(seen["files"]),
        "moves": sum(times for _, _, times in seen["moves"]),
        "circles": len(circles(checkout.package)),
        "lines": lines(checkout.package),
        "cli_lines": lines(checkout.package / "cli"),
    }


def traced(checkout: Checkout) -> dict[str, Any]:
    """What house_tracer.py says of the restoration, which has to succeed."""
    with tempfile.TemporaryDirectory() as place:
        folder, output = Path(place), Path(place, "trace.json")
        part(0, 100, 150, 20, 24).save(folder / "cat.png")
        command = [sys.executable, str(ROOT / "benchmarks" / "house_tracer.py"), str(checkout.package), str(output)]
        subprocess.run(
            [*command, *ARGUMENTS],
            cwd=folder,
            env=checkout.surroundings(folder, folder),
            check=True,
            capture_output=True,
        )
        if not (folder / "cat_x4.png").exists():
            raise SystemExit(f"{checkout.label} did not restore the picture.")
        return dict(json.loads(output.read_text()))


def _print(checkout: Checkout) -> None:
    seen = traced(checkout)
    print(len(seen["files"]), "files", *seen["files"], sep="\n  ")
    print(sum(times for _, _, times in seen["moves"]), "moves")
    print(*(f"  {times:4} {caller} -> {file}" for caller, file, times in seen["moves"]), sep="\n")
    print(len(circles(checkout.package)), "circles", *map(" ".join, circles(checkout.package)), sep="\n  ")


if __name__ == "__main__":
    main()
