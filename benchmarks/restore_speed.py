"""restore.speed.*: seconds per output megapixel at dial 0 by number type and instruction set; CPU time in a folder."""

import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import torch

from pictures import files, truth
from restore_scaling import SCALE, measurement
from results import Row, write_results
from veriscale.imaging.photo import from_array
from veriscale.imaging.write import write_photo
from veriscale.runtime.device import choose_dtype
from veriscale.workflows.batch_door import restore_files
from veriscale.workflows.opening import load_prior

THREADS = 2
SIDE = 512  # of a large measurement
SMALL, PICTURES = 100, 200  # side of a small one, and how many lie in the folder
PROCESSES = 3
SETS = {"all": {}, "avx2": {"ONEDNN_MAX_CPU_ISA": "AVX2"}}
DTYPES = ("bfloat16", "float32")


def child(dtype: str, small: str, large: str, out: str) -> None:
    """Print the seconds of a file from reading to writing, once everything is loaded, and the default number type."""
    prior = load_prior("photo", "cpu", getattr(torch, dtype))
    restore_files(small, f"{out}/small", prior, scale=SCALE)
    start = time.perf_counter()
    restore_files(large, f"{out}/large", prior, scale=SCALE)
    default = str(choose_dtype(torch.device("cpu"))).removeprefix("torch.")
    print(json.dumps({"seconds": time.perf_counter() - start, "default": default}))


def run(words: list[str], limit: dict[str, str], threads: int) -> str:
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), **limit}
    return subprocess.run([sys.executable, *words], env=environment, check=True, capture_output=True, text=True).stdout


def cpu(words: list[str], threads: int) -> float:
    """CPU seconds of a command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run(words, {}, threads)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def large_picture(folder: Path, side: int) -> list[Row]:
    write_photo(from_array(measurement(SMALL * SCALE), "small"), folder / "small.npy")
    write_photo(from_array((255 * measurement(side * SCALE)).round().astype("uint8"), "large"), folder / "large.png")
    rows = []
    for limit, variables in SETS.items():
        per_mp = {}
        for dtype in DTYPES:
            found = []
            for _ in range(PROCESSES):
                with tempfile.TemporaryDirectory() as out:
                    words = [__file__, dtype, str(folder / "small.npy"), str(folder / "large.png"), out]
                    found.append(json.loads(run(words, variables, THREADS)))
            per_mp[dtype] = median(f["seconds"] for f in found) / ((side * SCALE) ** 2 / 1e6)
        default, faster = found[0]["default"], min(per_mp.values())
        for dtype, value in per_mp.items():
            what = f"dial 0, {dtype}, instruction sets: {limit}, per megapixel of {side * SCALE}², {THREADS} threads"
            bar = "<= 3" if limit == "avx2" and dtype == default else None
            rows.append(Row(f"restore.speed.mp_{dtype}_{limit}", what, value, "s", bar=bar))
        what = f"time in the default number type, {default}, over that in the faster one, instruction sets: {limit}"
        rows.append(Row(f"restore.speed.default_{limit}", what, per_mp[default] / faster, bar="<= 1"))
        print([f"{r.id} {r.value:.3g}" for r in rows[-3:]], flush=True)
    return rows


def many_small(folder: Path, pictures: int) -> list[Row]:
    """The whole command on the folder less the same on one of its pictures."""
    x = truth(files("validation")[0], SCALE)
    places = [(i, j) for i in range(0, len(x) - SMALL, 7) for j in range(0, x.shape[1] - SMALL, 7)][:pictures]
    several = folder / "several"
    several.mkdir()
    for k, (i, j) in enumerate(places):
        part = (255 * x[i : i + SMALL, j : j + SMALL]).round().astype("uint8")
        write_photo(from_array(part, "part"), several / f"{k:03d}.png")
    rows = []
    for name, threads in (("folder", THREADS), ("folder_one_thread", 1)):
        command = ["-m", "veriscale", "restore", "--scale", str(SCALE), "--quiet", "--device", "cpu", "--force"]
        alone = cpu([*command, str(several / "000.png"), "-o", str(folder / "one")], threads)
        together = cpu([*command, str(several), "-o", str(folder / "all")], threads)
        what = f"CPU time of a picture of {SMALL}×{SMALL} in a folder of {len(places)}, dial 0, threads: {threads}"
        value = (together - alone) / (len(places) - 1)
        rows.append(Row(f"restore.speed.{name}", what, value, "s", bar="<= 0.1" if threads == THREADS else None))
        print(rows[-1].id, f"{value:.3g}", flush=True)
    return rows


def main(side: int = SIDE, pictures: int = PICTURES) -> None:
    print("about 3 minutes")
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        rows = large_picture(Path(folder), side) + many_small(Path(folder), pictures)
    found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    notes = (
        f"{found[1].strip() if found else 'an unknown processor'}; prior photo. From reading the file to writing its "
        f"results with the prior loaded and one other picture restored, the median of {PROCESSES} processes. In the "
        "folder: user and system time of the whole command, less those of the command on one of the pictures."
    )
    write_results("restore_speed", rows, notes, time.monotonic() - begun)


if __name__ == "__main__":
    child(*sys.argv[1:]) if len(sys.argv) > 1 else main()
