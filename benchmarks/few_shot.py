"""fewshot.*: a prior from few patients, by stages (MSP) and by direct fine-tuning (DFT), and how sure it is.

`few_shot.py [PART …]` measures all parts, or those that are named, and writes their rows. Runs and scores are kept in
build/few_shot, so that what was cut off goes on and further parts take what is there. The parents, in
benchmarks/parents, come from recipes/study/train.sh.
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from few_shot_patients import Target, hearts, hippocampi, other_hearts
from few_shot_rows import (
    TRAINABLE,
    baseline_rows,
    comparison_rows,
    pair_rows,
    rate_row,
    scratch_rows,
    trainable_rows,
    zero_rows,
)
from few_shot_runs import DRAWS, FACTORS, TUNED_COUNT, TUNED_DRAW, TUNED_ON, NotKeptError, Run, Study, trial
from few_shot_scores import SAMPLES, SIDE, SLICES, scores, slices_of
from pictures import DATA
from results import ROOT, Row, write_results
from study_arguments import study_arguments
from veriscale.diffusion.checkpoint import read_card
from veriscale.stages.recipe_file import read_recipe
from veriscale.stages.training import train
from veriscale.workflows.opening import load_prior

COUNTS = (5, 10, 20)
MENDS = {
    "rate": ("heads at the rate of the photographs", ("rate", TUNED_COUNT), ("long", TUNED_COUNT)),
    "lora_8": ("trainable = 'lora:8' of both", ("msp", TUNED_COUNT, "lora:8"), ("long", TUNED_COUNT, "lora:8")),
}
"""What was tried where stages are not ahead at equal total steps: by an id, how, and the two arms."""
PROBE = 10  # steps of either network, by which the time is told


class Part(NamedTuple):
    """A table of the study: runs that it needs, and the rows that come of them."""

    runs: Sequence[Run]
    rows: Callable[[Study], list[Row]]


def _runs(arms: Sequence[str], counts: Sequence[int], **other: str) -> list[Run]:
    return [Run(arm, count, draw, **other) for count in counts for draw in DRAWS for arm in arms]


PARTS = {
    "main": Part(_runs(("msp", "dft"), COUNTS), lambda study: comparison_rows(study, "acdc", COUNTS)),
    "zero": Part(
        _runs(("msp", "dft"), COUNTS),
        lambda study: [
            *pair_rows(study, "acdc", "k0", "domain less source, unadapted", ("msp", 0), ("dft", 0)),
            *zero_rows(study, "acdc", "msp", COUNTS),
            *zero_rows(study, "acdc", "dft", COUNTS),
        ],
    ),
    "sunnybrook": Part(
        _runs(("msp", "dft"), COUNTS),
        lambda study: [
            *comparison_rows(study, "sunnybrook", COUNTS),
            *zero_rows(study, "sunnybrook", "msp", COUNTS),
            *zero_rows(study, "sunnybrook", "dft", COUNTS),
        ],
    ),
    "total": Part(
        _runs(("msp", "long"), (TUNED_COUNT,)),
        lambda study: [
            *(
                row
                for on in ("acdc", "sunnybrook")
                for row in pair_rows(
                    study,
                    on,
                    f"k{TUNED_COUNT}_total",
                    f"MSP-{TUNED_COUNT} less DFT-{TUNED_COUNT} at equal total steps",
                    ("msp", TUNED_COUNT),
                    ("long", TUNED_COUNT),
                )
            ),
            *zero_rows(study, "acdc", "long", (TUNED_COUNT,)),
        ],
    ),
    "mends": Part(
        _runs(("rate", "long"), (TUNED_COUNT,)) + _runs(("msp", "long"), (TUNED_COUNT,), trainable="lora:8"),
        lambda study: [
            row
            for name, (how, former, latter) in MENDS.items()
            for row in pair_rows(
                study,
                "acdc",
                f"k{TUNED_COUNT}_total_{name}",
                f"MSP-{TUNED_COUNT}, {how}, less DFT-{TUNED_COUNT} at equal total steps",
                former,
                latter,
            )
        ],
    ),
    "baselines": Part(_runs(("msp",), (TUNED_COUNT,)), lambda study: baseline_rows(study, "acdc")),
    "scratch": Part(_runs(("msp", "scratch"), COUNTS), lambda study: scratch_rows(study, COUNTS)),
    "trainable": Part(
        [run for mode in TRAINABLE for run in _runs(("msp",), (TUNED_COUNT,), trainable=mode)], trainable_rows
    ),
    "hippocampus": Part(
        _runs(("msp", "dft"), (TUNED_COUNT,), target="hippocampus"),
        lambda study: [
            *comparison_rows(study, "hippocampus", (TUNED_COUNT,)),
            *zero_rows(study, "hippocampus", "msp", (TUNED_COUNT,)),
            *zero_rows(study, "hippocampus", "dft", (TUNED_COUNT,)),
            *baseline_rows(study, "hippocampus"),
        ],
    ),
}
"""In the order in which they are measured: the main table first."""


def trained(parts: Sequence[str]) -> set[Run]:
    """All runs of some parts, each once, and the trials that every arm's rates are chosen by, but for further ones."""
    runs = {run for name in parts for run in PARTS[name].runs}
    tried = {trial(run.arm, run.trainable, factor) for run in runs for factor in FACTORS}
    best = {run for run in runs if (run.count, run.draw, run.target) == (TUNED_COUNT, TUNED_DRAW, TUNED_ON)}
    return (runs - best) | tried  # the best of the trials is no further run


def rates(study: Study, parts: Sequence[str]) -> list[Row]:
    """The rates of every arm of some parts."""
    tuned = {(run.arm, run.trainable): None for name in parts for run in PARTS[name].runs}
    return [rate_row(study, arm, trainable) for arm, trainable in tuned]


def kept(study: Study) -> dict[str, list[Row]]:
    """The rows of all parts whose scores are there already, whenever they were measured."""
    found = {}
    for name, part in PARTS.items():
        with suppress(NotKeptError, SystemExit):
            found[name] = part.rows(replace(study, fresh=False))
    return found


def pace(study: Study) -> float:
    """Seconds of a run and its scores, by a few steps from scratch."""
    target, phases = study.targets[TUNED_ON], read_recipe(study.recipe).stage[0].phases()
    settings = study.settings(Run("scratch", TUNED_COUNT, TUNED_DRAW), 1.0)
    settings += [f"stage.target.{network}.steps={PROBE}" for network in phases]
    with tempfile.TemporaryDirectory() as folder:
        begun = time.monotonic()
        file = train(study.recipe, Path(folder) / "probe.safetensors", overrides=settings)
        whole = time.monotonic() - begun
        steps = read_card(file).budget.seconds
        begun = time.monotonic()
        scores(load_prior(file), slices_of(target.test[0], target.scale), target.scale)
        scoring = (time.monotonic() - begun) * len(target.test)
    return whole - steps + steps * phases["encoder"].steps / PROBE + scoring


def targets(folder: Path) -> dict[str, Target]:
    root = DATA.parent
    found = hearts(root), other_hearts(root), hippocampi(root, folder / "hippocampus")
    return {target.name: target for target in found}


NOTES = (
    "Nothing was chosen on test patients. Hearts: patients by recipes/splits.toml, 8 test and 2 validation, which "
    "count (k + 2: the rates are chosen and σ_d is measured on them), and a pool of 20 in five groups; 3 draws for "
    "k = 5 and 10, equally many of each group, the fewer part of the more; of all 20 three seeds. Sunnybrook: four "
    "patients of another scanner, who neither trained nor chose anything. Hippocampus: crops, the last 30 by number "
    "for test and the last 4 before them of at least 32 pixels a side for validation; whose they are is not published, "
    "and two may be one person's. "
    "Parents: recipes/study; MSP from photographs by way of heads, DFT from photographs, at equal target steps; `long` "
    "for as many steps before the target as both, and so `rate`, by heads at the rate of photographs, which was "
    "tried, as lora:8 of both was, after `long` had been seen on the test patients. Target stage: "
    "recipes/study/target.toml, Adam; rates are "
    f"{', '.join(f'{f:g}' for f in FACTORS)} times the usual one of both networks, and further ones where the best "
    "of these is the outermost, the one with the least CRPS on the "
    f"validation hearts at k = {TUNED_COUNT}, draw 0, for each arm and each `trainable`, and kept for the other "
    f"targets. Scores: {SLICES} slices a patient, evenly along the depth, the middle {SIDE}² of the image or the whole "
    "slice where it is smaller, bicubic, no noise, in the foreground and levels of the whole measurement; "
    f"{SAMPLES} draws of 8 steps, as `restore` makes them. A patient, or a crop, is one unit. The interval is "
    "Student's over patients, draws averaged; beside it that over draws, patients averaged, and one of both "
    "sources of chance together; `claim` is 1 where the first two lie on one side of 0; over seeds alone nothing is "
    "claimed. Draws are of one pool of 20 and share patients, at k = 10 from three to eight of ten, so that they say "
    "little of other pools; no interval is corrected for how many there are. Uncalibrated: no level ratio, no "
    "temperature. Runs and scores that are there are taken as they are, also where the library has changed since. "
    "`seconds` is of the last part that was measured, with what was there already."
)


def main() -> None:
    asked = study_arguments(__doc__, PARTS)
    parts, begun, folder = [p for p in PARTS if p in asked.part] or list(PARTS), time.monotonic(), ROOT / "build"
    tell = lambda line: print(f"{time.monotonic() - begun:.0f} s: {line}", flush=True)  # noqa: E731
    study = Study(folder / "few_shot", asked.parents, targets(folder / "few_shot"), tell=tell)
    runs, seconds = len(trained(parts)), pace(study)
    print(f"few_shot: {runs} runs of {seconds:.0f} s, about {runs * seconds / 60:.0f} minutes, less what is there")
    for name in parts:
        for row in PARTS[name].rows(study):
            print(f"{row.id}: {row.value:.4g} {row.unit} {row.interval} {row.against}", flush=True)
        there = kept(study)  # a study that is cut off later, or goes on another day, loses none of them
        missing = [other for other in PARTS if other not in there]
        left = f" Not measured: {', '.join(missing)}." if missing else ""
        rows = [row for part in there.values() for row in part] + rates(study, list(there))
        write_results("few_shot", rows, NOTES + left, time.monotonic() - begun)


if __name__ == "__main__":
    main()
