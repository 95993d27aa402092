"""Remove a training state whose parent is another prior since, which `--resume` would refuse: STATE PARENT…

A state that is newer than its parents' files, or began with the weights that they still hold, goes on.
"""

import json
import sys
from pathlib import Path
from typing import Any

from safetensors import safe_open


def header(file: Path, key: str) -> Any:
    """The card of a prior, or the facts of a state, unchecked: training reads both next."""
    with safe_open(file, "np") as content:
        return json.loads(content.metadata()[key])


def is_outdated(state: Path, parents: list[Path]) -> bool:
    """Whether a parent's file is newer than the state, and weights that this began with are none of theirs."""
    if not state.exists() or all(p.stat().st_mtime <= state.stat().st_mtime for p in parents):
        return False
    recipe = header(state, "facts")["recipe"]
    begun = {v for k, v in recipe.items() if k.rpartition(".")[2] == "init_from" and v}
    return not begun <= {header(p, "card")["tensors_sha256"] for p in parents}


if __name__ == "__main__":
    state, *parents = map(Path, sys.argv[1:])
    if is_outdated(state, parents):
        state.unlink()
        print(f"{state} is removed: {' or '.join(p.stem for p in parents)} is another prior since")
