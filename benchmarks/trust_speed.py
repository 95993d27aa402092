"""trust.speed.*: calibration of 100 pictures of one megapixel in a process of its own, without model and torch."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from fractions import Fraction
from resource import RUSAGE_SELF, getrusage

import numpy as np

from results import Row, write_results
from veriscale.trust.conformal import Calibration
from veriscale.trust.discrepancies import pointwise
from veriscale.trust.losses.registry import make_loss, staircase
from veriscale.trust.modes import Guarantee
from veriscale.trust.smoothing import smoothed

SIDE, COUNT, FEW = 1000, 100, 20
STD = 5.0
LOSSES = {"sup": 10, "area": 20}  # seconds
ALPHAS = [Fraction(k, 1000) for k in range(1, 1001)]
NOTES = (
    f"{COUNT} pictures of {SIDE}², three channels, float32 in [0, 1], each with a score; they are made one at a "
    "time outside of the timed part. Timed: Gaussian smoothing of the score with a standard deviation of "
    f"{STD:g} pixels, the pointwise discrepancy, and the staircase; 9 % of the pixels are bad. Not timed: the "
    "model, colour conversion, files, making the pictures, imports. Seconds are the processor's: one thread "
    "runs, so that the clock of an idle machine shows the same; what this one's showed, with other work on it, "
    "stands beside them. memory: the largest resident memory of the whole process, interpreter and libraries "
    f"included. flat: that memory with {COUNT} pictures less that with {FEW}, for each picture more; result and truth "
    "of one are 24 MB, its maps 8 MB, its staircase 0.012 MB. This row replaced the ratio of the two, which stands "
    "beside it: we had held it to 1.05, and over four runs of `area` it was 1.03, 1.09, 1.09 and 1.03. What grows is "
    "mostly the allocator's heap: with its MALLOC_MMAP_THRESHOLD_ fixed at 1 MB the ratio was 1.014. alphas: merging "
    f"the {COUNT} staircases, {len(ALPHAS)} allowances of mode `mean` and their thresholds."
)


def pictures(count: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Score, result and truth: errors are larger where the score is."""
    rng = np.random.default_rng(0)
    for _ in range(count):
        score = smoothed(rng.standard_normal((SIDE, SIDE), np.float32), 8)
        score /= score.std()
        np.exp(score, out=score)
        truth = rng.random((SIDE, SIDE, 3), np.float32)
        result = rng.standard_normal((SIDE, SIDE, 3), np.float32)
        result *= 0.02 * score[..., None]
        result += truth
        np.clip(result, 0, 1, out=result)
        score *= rng.random((SIDE, SIDE), np.float32)
        yield score, result, truth


def child(name: str, count: int) -> None:
    """Print what calibration with one loss took."""
    loss, made, bad = make_loss(name), [], []
    clock = processor = 0.0
    for score, result, truth in pictures(count):
        clock_before, processor_before = time.perf_counter(), time.process_time()
        discrepancy = pointwise(result, truth)
        made.append(staircase(loss, [(smoothed(score, STD), discrepancy)], 1.0))
        clock += time.perf_counter() - clock_before
        processor += time.process_time() - processor_before
        bad.append(float((discrepancy > 0.1).mean()))
    memory = getrusage(RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    before = time.process_time()
    calibration = Calibration(tuple(made), 1.0)
    calibration.thresholds([Guarantee("mean", count, 1.0, binary=False).allowance(a) for a in ALPHAS])
    alphas = time.process_time() - before
    before = time.process_time()
    calibration.leave_one_out(ALPHAS[::100])
    found = {"clock": clock, "processor": processor, "memory": memory, "alphas": alphas}
    found |= {"leave_one_out": time.process_time() - before, "torch": "torch" in sys.modules, "bad": np.mean(bad)}
    print(json.dumps(found | {"steps": sum(s.losses.size for s in made)}))


def run(name: str, count: int) -> dict[str, float]:
    command = [sys.executable, __file__, name, str(count)]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    print(name, count, found, flush=True)
    return found


def main() -> None:
    print("about 2 minutes", flush=True)
    begun = time.monotonic()
    rows, torch = [], 0
    for name, seconds in LOSSES.items():
        few, full = run(name, FEW), run(name, COUNT)
        torch += full["torch"]
        what = f"{name}: {COUNT} pictures of one megapixel"
        against = {"by the clock of a busy machine": full["clock"]}
        growth = (full["memory"] - few["memory"]) / (COUNT - FEW)
        ratio = {f"peak with {COUNT} over peak with {FEW}": full["memory"] / few["memory"]}
        rows += [
            Row(f"trust.speed.{name}", what, full["processor"], "s", bar=f"<= {seconds}", against=against),
            Row(f"trust.speed.memory.{name}", f"{name}: peak memory", full["memory"], "MB", bar="<= 300"),
            Row(
                f"trust.speed.flat.{name}", f"{name}: memory a further picture", growth, "MB", bar="<= 1", against=ratio
            ),
        ]
        what = f"{name}: {len(ALPHAS)} values of α from {COUNT} finished staircases"
        against = {"steps": full["steps"]}
        rows.append(Row(f"trust.speed.alphas.{name}", what, full["alphas"], "s", bar="<= 0.1", against=against))
        what = f"{name}: leave-one-out thresholds of {COUNT} units at 10 levels"
        rows.append(Row(f"trust.speed.leave_one_out.{name}", what, full["leave_one_out"], "s"))
    rows.append(Row("trust.speed.torch", "processes that loaded torch", torch, bar="<= 0"))
    for row in rows:
        print(f"{row.id:32} {row.value:8.4f} {row.unit:3} {row.bar or '':8} {row.holds}")
    print(write_results("trust_speed", rows, NOTES, time.monotonic() - begun))


if __name__ == "__main__":
    child(sys.argv[1], int(sys.argv[2])) if len(sys.argv) == 3 else main()
