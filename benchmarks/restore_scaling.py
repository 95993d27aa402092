"""restore.scaling.*: time and memory of dial 0 from 0.25 to 16 output megapixels, each size in its own process."""

import json
import subprocess
import sys
import time

import numpy as np
import torch

from pictures import files, truth
from results import Row, write_results
from veriscale.workflows.opening import load_prior
from veriscale.workflows.peak_memory import peak_memory_mb
from veriscale.workflows.restoring.door import restore

SIDES = {0.25: 512, 1: 1024, 4: 2048, 16: 4096}
SCALE = 4


def measurement(side: int) -> np.ndarray:
    """A photograph repeated by reflection to side / SCALE pixels."""
    x = truth(files("validation")[0], SCALE)
    n = side // SCALE
    return np.pad(x, ((0, max(0, n - x.shape[0])), (0, max(0, n - x.shape[1])), (0, 0)), mode="symmetric")[:n, :n]


def child(side: int) -> None:
    """Print the seconds of a restoration and of the bare network, and the peak memory of the restoration."""
    prior = load_prior("photo")
    restore(measurement(256), prior, scale=SCALE)
    y = measurement(side)
    times = []
    for _ in range(7):
        start = time.perf_counter()
        restore(y, prior, scale=SCALE)
        times.append(time.perf_counter() - start)
    memory = peak_memory_mb()
    batch = torch.from_numpy(np.ascontiguousarray(y.transpose(2, 0, 1)))[None]
    # The bare network sees the same pixels in pieces of 1024 output pixels a side, as fits the caches best.
    pieces = [p for row in batch.split(256, 2) for p in row.split(256, 3)]
    bare = []
    with torch.inference_mode():
        for _ in range(7):
            start = time.perf_counter()
            for piece in pieces:
                prior.encoder(piece, SCALE, torch.zeros(1))
            bare.append(time.perf_counter() - start)
    print(json.dumps({"restore": min(times), "bare": min(bare), "memory": memory}))


def main() -> None:
    print("about 1 minute")
    begun = time.monotonic()
    results = {}
    for mp, side in SIDES.items():
        out = subprocess.run([sys.executable, __file__, str(side)], check=True, capture_output=True, text=True).stdout
        results[mp] = json.loads(out)
        print(mp, results[mp], flush=True)
    rows = []
    for mp, r in results.items():
        what = f"time of restore at dial 0 over the bare network on the same pixels, {mp:g} MP"
        rows.append(Row(f"restore.scaling.over_network_{mp:g}mp", what, r["restore"] / r["bare"], bar="<= 1.5"))
        rows.append(
            Row(
                f"restore.scaling.seconds_per_mp_{mp:g}mp",
                f"seconds per output megapixel, {mp:g} MP",
                r["restore"] / mp,
                "s",
            )
        )
        rows.append(Row(f"restore.scaling.memory_{mp:g}mp", f"peak memory, {mp:g} MP", float(r["memory"]), "MB"))
    canvas = 4 * 3 * SIDES[16] ** 2 / 1e6
    more = (results[16]["memory"] - results[1]["memory"]) / canvas
    rows.append(
        Row(
            "restore.scaling.canvases",
            "peak memory at 16 MP beyond that at 1 MP, in float32 output canvases",
            more,
            bar="<= 6",
        )
    )
    notes = (
        "Best of seven; files excluded; a process per size. Encoder tiles of 2048 pixels with the whole receptive "
        "field as halo took 2.1 times the bare network at 4 MP and 3.2 times at 16 MP."
    )
    write_results("restore_scaling", rows, notes, time.monotonic() - begun)


if __name__ == "__main__":
    child(int(sys.argv[1])) if len(sys.argv) > 1 else main()
