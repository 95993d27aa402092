"""Put a training state aside whose parent is another prior since, which `--resume` would refuse: STATE PARENT…"""

import json
import sys
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open


def header(file: Path, key: str) -> Any:
    """The card of a prior, or the facts of a state, unchecked: training reads both next."""
    with safe_open(file, "np") as content:
        return json.loads(content.metadata()[key])


def is_outdated(state: Path, parents: list[Path]) -> bool:
    """Whether weights that the state began with are none of theirs; what cannot be read, training refuses next."""
    if not state.exists():
        return False
    try:
        recipe = header(state, "facts")["recipe"]
        begun = {v for k, v in recipe.items() if k.rpartition(".")[2] == "init_from" and v}
        return not begun <= {header(p, "card")["tensors_sha256"] for p in parents}
    except (SafetensorError, KeyError):
        return False


if __name__ == "__main__":
    state, *parents = map(Path, sys.argv[1:])
    if is_outdated(state, parents):
        aside = state.replace(state.with_suffix(".outdated"))
        print(f"{state} is now {aside}: {' or '.join(p.stem for p in parents)} is another prior since")
