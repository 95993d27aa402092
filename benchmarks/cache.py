"""Items already measured by the same code with the same prior, so that a benchmark that was cut off goes on."""

import hashlib
import json
import time
from collections.abc import Callable, Iterable
from typing import Any

from results import ROOT, commit

FOLDER = ROOT / "benchmarks" / ".cache"


def measured(
    name: str, settings: dict[str, Any], items: Iterable[str], measure: Callable[[str], Any], seconds: float
) -> list[Any]:
    """One JSON value per item, from the cache where it is there.

    Args:
        name: of the benchmark.
        settings: part of the key, with the commit: other code or another prior measures again.
        items: their names.
        measure: item -> value that JSON can hold.
        seconds: estimate of one item, printed first.
    """
    items = list(items)
    key = hashlib.sha256(json.dumps([name, commit(), settings], sort_keys=True).encode()).hexdigest()[:16]
    folder = FOLDER / f"{name}-{key}"
    folder.mkdir(parents=True, exist_ok=True)
    print(f"{name}: {len(items)} items, about {len(items) * seconds / 60:.1f} minutes", flush=True)
    values, begun = [], time.monotonic()
    for k, item in enumerate(items, start=1):
        path = folder / f"{item.replace('/', '_')}.json"
        if not path.exists():
            path.write_text(json.dumps(measure(item)))
        values.append(json.loads(path.read_text()))
        if k % max(1, len(items) // 10) == 0:
            print(f"  {k} of {len(items)}, {time.monotonic() - begun:.0f} s", flush=True)
    return values
