"""zeroshot.memory.*: what --dry-run states against what a run really takes, each in a process of its own."""

import json
import subprocess
import sys
import time

import numpy as np

from results import Row, write_results
from veriscale.imaging.photo import Photo
from veriscale.physics.registry import parse_operator
from veriscale.settings import Settings, settled
from veriscale.workflows.opening import load_prior
from veriscale.workflows.restoring.plan import GRADIENT_BYTES
from veriscale.workflows.restoring.prior_restorer import PriorRestorer

CASES = {
    "local": ("inpaint:keep=0.5", "proximal", 1024),
    "sensing": ("sensing:ratio=0.5", "proximal", 1024),
    "fourier": ("fourier:accel=4", "proximal", 1024),
    "gradient": ("inpaint:keep=0.5", "dps", 512),
}


def take(operator: str, posterior: str, side: int) -> None:
    """Restore noise, and print the bytes that were used above those of a small run, and the bytes that were stated."""
    from resource import RUSAGE_SELF, getrusage

    prior = load_prior("photo")
    a = parse_operator(operator)
    base = 0
    for n in (64, side):
        height, width = a.measurement_shape((3, n, n))[1:]
        y = Photo(np.random.default_rng(0).random((height, width, 3), np.float32), None, 32)
        settings = settled(Settings(operator=operator, noise="0.05", dial="1", posterior=posterior, steps=2))
        prepared = PriorRestorer(prior, settings).prepare(y)
        prepared.restore()
        used = getrusage(RUSAGE_SELF).ru_maxrss * 1024
        base = base or used
    stated = prepared.plan.memory(3) + prepared.plan.tile_memory
    print(json.dumps([used - base, stated, side * side]))


def main() -> None:
    begun = time.monotonic()
    print("about 2 minutes", flush=True)
    rows = []
    for name, (operator, posterior, side) in CASES.items():
        command = [sys.executable, __file__, operator, posterior, str(side)]
        out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        used, stated, pixels = json.loads(out.splitlines()[-1])
        what = f"{operator}, {posterior}, {side}²: memory used over memory stated"
        rows.append(
            Row(f"zeroshot.memory.{name}", what, used / stated, bar="<= 1", against={"bytes a pixel": used / pixels})
        )
        print(rows[-1].id, rows[-1].value, rows[-1].against, flush=True)
    notes = (
        f"Largest resident memory above that of a 64² run. The gradient is stated as {GRADIENT_BYTES} bytes a pixel."
    )
    write_results("zeroshot_memory", rows, notes, time.monotonic() - begun)


if __name__ == "__main__":
    if len(sys.argv) == 4:
        take(sys.argv[1], sys.argv[2], int(sys.argv[3]))
    else:
        main()
