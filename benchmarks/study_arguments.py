"""What the command lines of studies have in common: tables by name, and the folder of their parents."""

import argparse
from collections.abc import Collection
from pathlib import Path

from results import ROOT


def study_arguments(doc: str | None, tables: Collection[str]) -> argparse.Namespace:
    """`part`, the tables that are asked for, none for all, and `parents`, a folder."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)

    def table(name: str) -> str:  # no `choices`: with them none is an error
        if name not in tables:
            raise argparse.ArgumentTypeError(f"no table is called {name}")
        return name

    every = ", ".join(tables)
    parser.add_argument("part", nargs="*", type=table, help=f"tables of {every}; all by default")
    parents = ROOT / "benchmarks" / "parents"
    parser.add_argument("--parents", type=Path, default=parents, help="folder of the study's parents")
    return parser.parse_args()
