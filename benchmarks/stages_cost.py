"""stages.cost.*: minutes and memory of the tutorial's recipe on ten patients, by the command on two cores.

A few steps tell first what all would take, which is hours at most; `--small` does no more than that, and writes no
results. The run lies in benchmarks/.cache with what it took so far, so that one that was cut off goes on.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from cache import FOLDER
from pictures import DATA
from results import ROOT, Row, write_results
from veriscale.diffusion.card import Card
from veriscale.diffusion.checkpoint import read_card
from veriscale.diffusion.library import STATE, find_prior
from veriscale.stages.recipe_file import read_recipe

RECIPE = ROOT / "recipes" / "cardiac.toml"
"""What recipes/target.toml is for a folder of one's own, for a public set; its prior is the one that is shipped."""
CORES = 2
PROBE = 100  # the steps' share that tells the pace is one of so many
PAUSE = 1.0  # seconds between looks at the process


def command(output: Path, settings: Sequence[str] = ()) -> list[str]:
    """That trains, or goes on."""
    changes = [word for setting in settings for word in ("--set", setting)]
    train = ["train", str(RECIPE), *changes, "-o", str(output), "--resume", "--force", "--device", "cpu"]
    return [sys.executable, "-m", "veriscale", *train]


def taken(command: Sequence[str], state: Path, kept: Path) -> tuple[float, float]:
    """Seconds and gigabytes of a command, with those of earlier runs of it that were cut off.

    Of these the time counts until they last saved their state: what came after is done again.

    Args:
        command: that goes on from its state.
        state: its file.
        kept: file of what was taken so far.

    Raises:
        SystemExit: the command failed.
    """
    before, peak, ended = json.loads(kept.read_text()) if kept.exists() else (0.0, 0.0, False)
    if ended:
        return before, peak
    saved, begun = _saved(state), time.monotonic()
    process = subprocess.Popen(command)
    while process.poll() is None:
        peak = max(peak, _peak(process.pid))
        if _saved(state) != saved:
            saved = _saved(state)
            kept.write_text(json.dumps([before + time.monotonic() - begun, peak, False]))
        time.sleep(PAUSE)
    if process.returncode:
        raise SystemExit(f"the command ended with {process.returncode}")
    seconds = before + time.monotonic() - begun
    kept.write_text(json.dumps([seconds, peak, True]))
    return seconds, peak


def _saved(state: Path) -> int:
    return state.stat().st_mtime_ns if state.exists() else 0


def _peak(process: int) -> float:
    """The largest resident set of a process so far, in GB; 0 where it has ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((float(line.split()[1]) * 1024 / 1e9 for line in lines if line.startswith("VmHWM")), 0.0)


def pace() -> float:
    """Seconds of all steps, by a share of each network's; without evaluations."""
    phases = read_recipe(RECIPE).stage[0].phases()
    few = [f"stage.target.{network}.steps={phase.steps // PROBE}" for network, phase in phases.items()]
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "probe.safetensors"
        subprocess.run(
            command(output, ["measure=modes", "stage.target.evaluate=0", "stage.target.patience=0", *few]), check=True
        )
        return read_card(output).budget.seconds * PROBE


def rows_of(seconds: float, memory: float, card: Card) -> list[Row]:
    """What a run took, whose card tells its steps."""
    steps = {f"steps of {phase.network}": float(phase.steps) for phase in card.budget.phases}
    stage = read_recipe(RECIPE).stage[0]
    what = f"recipes/{RECIPE.name}, {stage.subjects} patients and those of {stage.validation[0]}, {CORES} cores"
    minutes = steps | {"minutes of steps alone": card.budget.seconds / 60}
    return [
        Row(
            "stages.cost.minutes",
            f"{what}: minutes of the command, to the prior's file",
            seconds / 60,
            "min",
            against=minutes,
        ),
        Row("stages.cost.memory", f"{what}: peak memory of the process", memory, "GB"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true")
    small = parser.parse_args().small
    cores = sorted(os.sched_getaffinity(0))[:CORES]
    if len(cores) < CORES:
        raise SystemExit(f"this is about {CORES} cores, and there is one")
    os.sched_setaffinity(0, cores)
    os.environ |= {"OMP_NUM_THREADS": str(CORES)}
    os.environ.setdefault("VERISCALE_DATA", str(DATA.parent))
    made_of = [RECIPE.read_text(encoding="utf-8"), read_card(find_prior("mri")).tensors_sha256]
    folder = FOLDER / f"stages_cost-{hashlib.sha256(json.dumps(made_of).encode()).hexdigest()[:16]}"
    folder.mkdir(parents=True, exist_ok=True)
    output, kept = folder / "cardiac.safetensors", folder / "taken.json"
    state = output.with_suffix(STATE)
    if not state.exists():
        print("stages_cost: a hundredth of all steps, for the pace", flush=True)
        about = pace() / 60
        print(f"stages_cost: at most about {about:.0f} minutes of steps, then evaluations and measurements", flush=True)
    if small:
        print("A part of the run is no result: nothing is written.")
        return
    seconds, memory = taken(command(output), state, kept)
    rows = rows_of(seconds, memory, read_card(output))
    for row in rows:
        print(f"{row.id}: {row.value:.4g} {row.unit} {row.against}")
    print(write_results("stages_cost", rows, NOTES, seconds))


NOTES = (
    "`veriscale train recipes/cardiac.toml` to its end, from the prior mri: the networks, steps and stopping rule of "
    "recipes/target.toml, which docs/tutorial-scarce-data.md has for a folder of one's own, on ten patients of "
    "mri/cardiac/acdc@pool, with two others to measure and stop on. The process has "
    f"{CORES} of the machine's cores, as many threads and no accelerator. The steps are the recipe's limits, before "
    "which no network's held-out score had stopped falling for long enough. Start, evaluations and what is measured at "
    "the end are in the minutes. Of a run that was cut off the time until it last saved its state counts. Memory is "
    "the largest resident set."
)


if __name__ == "__main__":
    main()
