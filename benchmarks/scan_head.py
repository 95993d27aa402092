"""scan.head.*: memory and time of a whole head in plane and through the plane, and what a killed run goes on to.

`--side` tries it on a smaller head, prints, and writes no results.
"""

import argparse
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
from safetensors import safe_open
from scipy.ndimage import zoom

from results import Row, write_results
from scans import scan

SUBJECT, CONTRAST = "ms07", "FLAIR"
SHAPE = (182, 218, 182)
THICK = 4  # mm
PAUSE = 0.05  # seconds between looks at what a run has kept
IN_PLANE = ("--scale", "2")
THROUGH = ("--spacing", "-,-,1", "--thickness", str(THICK))


@dataclass(frozen=True)
class Case:
    """One restoration by the command.

    Attributes:
        coarser: voxels of the head that one of the measurement stands for, along each axis.
        asked: of the command.
    """

    coarser: tuple[int, int, int]
    asked: tuple[str, ...]

    def measurement(self, shape: tuple[int, int, int], path: Path) -> None:
        """Write it: the subject's scan, stretched to the head and resampled."""
        values = scan(SUBJECT, CONTRAST).values()
        wanted = [math.ceil(n / c) for n, c in zip(shape, self.coarser, strict=True)]
        there = zoom(values, [w / n for w, n in zip(wanted, values.shape, strict=True)], order=1)
        affine = np.diag([*map(float, self.coarser), 1.0])
        nibabel.save(nibabel.Nifti1Image(np.rint(there).astype(np.int16), affine), path)

    def parts(self, kept: Path) -> int:
        """How much of the work a run has kept: slices, or evaluations of the anchor."""
        state = kept / "anchor.safetensors"
        if state.is_file():
            with safe_open(state, "np") as tensors:
                return int(tensors.get_tensor("done"))
        count = kept / "done.txt"
        return int(count.read_text()) if count.is_file() else 0

    def half(self, shape: tuple[int, int, int]) -> int:
        """Of the parts."""
        from veriscale.traversal.splitting import STEPS

        return (STEPS if self.asked is THROUGH else shape[2]) // 2


CASES = {
    "in_plane": Case((2, 2, 1), IN_PLANE),
    "in_plane.whole": Case((1, 1, 1), IN_PLANE),
    "through": Case((1, 1, THICK), THROUGH),
}

BY = "--prior", "photo"


def restore(path: Path, out: Path, case: Case, half: int | None = None) -> tuple[float, float]:
    """Run the command in a process of its own, to its end or until it has kept so many parts; gigabytes, seconds."""
    command = [sys.executable, "-m", "veriscale", "restore", path, *case.asked, *BY, "-o", out, "--quiet"]
    begun = time.monotonic()
    process = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL)
    kept = out / f".{path.name.split('.')[0]}_restored.unfinished" / "0"
    if half is not None:
        while case.parts(kept) < half:
            if process.poll() is not None:
                raise SystemExit("the run ended before it could be killed")
            time.sleep(PAUSE)
        process.kill()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != (0 if half is None else -signal.SIGKILL):
        raise SystemExit(f"the command ended with {process.returncode}")
    return used.ru_maxrss * 1024 / 1e9, time.monotonic() - begun


def differing(whole: Path, again: Path) -> int:
    """Results whose bytes differ, and files that only one of two runs has left."""
    names = {path.name for folder in (whole, again) for path in folder.iterdir()}
    images = [name for name in names if name.endswith(".nii.gz")]
    alone = [name for name in names if not ((whole / name).exists() and (again / name).exists())]
    other = [name for name in set(images) - set(alone) if (whole / name).read_bytes() != (again / name).read_bytes()]
    return len(alone) + len(other)


def rows_of(name: str, case: Case, shape: tuple[int, int, int], folder: Path) -> list[Row]:
    path, whole, again = folder / "head.nii.gz", folder / "whole", folder / "again"
    case.measurement(shape, path)
    memory, seconds = restore(path, whole, case)
    restore(path, again, case, case.half(shape))
    resumed, _ = restore(path, again, case)
    result = nibabel.load(whole / "head_restored.nii.gz").shape
    sizes = [*nibabel.load(path).shape], [*result]
    what = " to ".join("×".join(map(str, size)) for size in sizes) + f", {' '.join(case.asked)}"
    peak = max(memory, resumed)
    pace = seconds / (math.prod(result) / 1e6)
    return [
        Row(
            f"scan.head.{name}.memory",
            f"{what}: peak memory of the process, the resumed one too",
            peak,
            "GB",
            None,
            "<= 2",
        ),
        Row(f"scan.head.{name}.seconds", f"{what}: seconds a megavoxel of the result", pace, "s"),
        Row(
            f"scan.head.{name}.resumed",
            f"{what}: files that differ after a kill half-way",
            differing(whole, again),
            "",
            None,
            "<= 0",
        ),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, help="longest side of a head to try it on")
    side = parser.parse_args().side
    a, b, c = (n if side is None else max(8, 4 * round(n * side / max(SHAPE) / 4)) for n in SHAPE)
    begun = time.monotonic()
    print(f"{len(CASES)} cases of three runs each, about 12 minutes on two cores for the whole head", flush=True)
    rows = []
    for name, case in CASES.items():
        with tempfile.TemporaryDirectory() as folder:
            rows += rows_of(name, case, (a, b, c), Path(folder))
        for row in rows[-3:]:
            print(row.id, row.value, row.unit, flush=True)
    if side is not None:
        return
    notes = (
        f"{SUBJECT} {CONTRAST}, a training subject, stretched to {a}×{b}×{c} of 1 mm and resampled, as int16: how much "
        "and how long do not depend on what is seen. The command in a process of its own, by the prior photo, dial 0, "
        "start and files included; memory is its largest resident set, time "
        "that of the whole run. Then the same is killed by SIGKILL when half of its slices, or of its anchor's "
        "evaluations, are done, and started again."
    )
    print(write_results("scan_head", rows, notes, time.monotonic() - begun))


if __name__ == "__main__":
    main()
