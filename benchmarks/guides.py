"""guides.*: other contrasts beside a scan: what they are worth sound, spoilt, wrong and missing, and what weights know.

`guides.py [PART …]` measures all parts, or those that are named, and writes the rows of each in a file of its own;
`shipped` is left out where the prior `mri-guided` is not installed. Runs are kept in build/guides, scores as those of
all benchmarks, so that what was cut off goes on and further parts take what is there. The parents, in
benchmarks/parents, come from recipes/study/train.sh.
"""

import os
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import scans
from guides_cases import APART, DRAWN, EVERY, case
from guides_regression import REACH
from guides_rows import (
    clean_rows,
    generalise_rows,
    localise_rows,
    semantic_rows,
    static_rows,
    subset_rows,
    wrong_rows,
)
from guides_runs import (
    CONDITIONS,
    EVERYONE,
    FACTORS,
    FOLD_STEPS,
    FUSIONS,
    RATE,
    SEEDS,
    VALIDATION,
    Run,
    Study,
    settings,
    trials,
)
from guides_scores import SAMPLES, mean_errors
from guides_spoiling import SIDE
from guides_term_rows import RUNS, TAUS, bound_rows, draw_rows, tau_rows
from guides_use_rows import SHIPPED, THROUGH, shift_rows, shipped_rows, speed_rows, through_rows
from results import ROOT, Row, write_results
from study_arguments import study_arguments
from veriscale.diffusion.library import known_priors
from veriscale.guides.guide_file import read_guide_card
from veriscale.stages.recipe_file import read_recipe
from veriscale.stages.splits import select
from veriscale.stages.training import train
from veriscale.workflows.opening import load_prior
from veriscale.workflows.scans.bound_table import BLOCK

PROBE = 10  # steps, by which the time is told


class Part(NamedTuple):
    """A table of the study: runs that it needs, and the rows that come of them."""

    runs: Sequence[Run]
    rows: Callable[[Study], list[Row]]


_SEEDS = [Run(fusion, seed=seed) for seed in SEEDS for fusion in FUSIONS]
_DYNAMIC = [Run(seed=seed) for seed in SEEDS]

PARTS = {
    "clean": Part(_DYNAMIC, clean_rows),
    "static": Part(_SEEDS, static_rows),
    "wrong": Part(_SEEDS, wrong_rows),
    "subsets": Part(_DYNAMIC, subset_rows),
    "localise": Part(_DYNAMIC, localise_rows),
    "draws": Part([Run()], draw_rows),
    "semantic": Part([Run(fusion) for fusion in FUSIONS], semantic_rows),
    "bound": Part(list(RUNS.values()), bound_rows),
    "shift": Part([], shift_rows),
    "speed": Part([Run(planes="all")], speed_rows),
    "through": Part([Run(target=target, planes="all") for target in THROUGH], through_rows),
    "generalise": Part([Run(f, left_out=subject) for subject in EVERYONE for f in FUSIONS], generalise_rows),
    "tau": Part([Run(tau=tau) for tau in TAUS], tau_rows),
    "shipped": Part([], shipped_rows),
}
"""In the order in which they are measured: the main table first."""


def trained(parts: Iterable[str]) -> list[str]:
    """The names of all trainings of some parts, each once: guides, those that rates are chosen by, unguided priors."""
    runs = list(dict.fromkeys(run for name in parts for run in PARTS[name].runs))
    tried = [trial for fusion in dict.fromkeys(run.fusion for run in runs) for trial in trials(fusion)]
    best = {Run(trial.fusion) for trial in tried}  # is no further run
    bases = {run.left_out for run in runs if run.left_out}
    names = [f"{trial.name}, rate times {trial.factor:g}" for trial in tried]
    names += [run.name for run in runs if run not in best]
    return [*names, *sorted(bases), *([f"adapted, rate times {f:g}" for f in FACTORS] if "clean" in parts else [])]


def pace(study: Study) -> tuple[float, float]:
    """Seconds of a run of guides, by a few steps, and of the scores of a subject."""
    recipe, parent = study.recipes / "guided.toml", study.parent()
    said = [*settings(Run(), 1.0), f"stage.guided.init_from={parent}", f"stage.guided.guides.steps={PROBE}"]
    with tempfile.TemporaryDirectory() as folder:
        begun = time.monotonic()
        file = train(recipe, Path(folder) / "probe.safetensors", overrides=said)
        whole = time.monotonic() - begun
        steps = read_guide_card(file).seconds
        begun = time.monotonic()
        mean_errors(load_prior(file), case(VALIDATION, every=10 * EVERY), CONDITIONS)
        scoring = 10 * (time.monotonic() - begun)
    return whole - steps + steps * read_recipe(recipe).stage[0].guides.steps / PROBE, scoring


NOTES = (
    "No setting was chosen on test subjects; but two changes were tried after rows without them had been seen on them: "
    "that the gate learns where training has spoilt guides, whose share is the best of a few single runs on "
    f"{VALIDATION}, and that what it finds after the encoder goes on to the denoiser's, of which there was one run. "
    "Trained on ms07, gli00000, tcgafg6692 and pgbm003; rates "
    f"({' and '.join(f'{RATE * f:g}' for f in FACTORS)}, of Muon and of Adam beside it) chosen for each fusion with "
    f"seed 0 by the error at dial 0 on {VALIDATION} with sound and spoilt guides, and kept for all else of that "
    "fusion. Guides of the small parent of recipes/study, by guided.toml there; static fusion is as wide as gives it "
    "no fewer parameters than dynamic weights with their gate. "
    f"{len(SEEDS)} seeds where a row names them, else seed 0. A subject's T2 ×4, "
    f"bicubic, without noise, one of {EVERY} axial slices (with draws one of {DRAWN}), in the measurement's foreground "
    f"and levels, its guides cut to [0, 1]; {SAMPLES} draws of 8 steps. Intervals are bootstraps over axial slices in "
    f"blocks of {BLOCK} within a subject: they say nothing of other subjects. Spoilt: of three guides one, another in "
    f"each slice, in a region of {SIDE}² about a place of the foreground: blurred (std 4), shifted (4 voxels), of a "
    f"slice {APART} away, noise 0.2, blank; never trained on: inverted, elastic (RMS 4 voxels). static: over the whole "
    "foreground, of which the region is a small part, and in the region alone (`inside`). A row of the best static "
    "weights, of the worst kind or of the least subset has the interval of that one alone. The regression is "
    f"least squares on windows of {2 * REACH + 1}² of every guide and of the unguided result, each training subject "
    "counting as much, and on results of a parent that has seen them, so that it trusts those too much; so do guides. "
    "`adapted` is the parent after as many steps of both networks on T2 of the training subjects, at the better of the "
    "same shares of Muon's usual rate, and no larger than it was. Static fusion has an amount of 1 and no null expert, "
    "so that dynamic over static is of weights and amount together, and of features that are normalised for both. "
    "generalise: one subject of five is left out by turns, of whom the unguided prior of that fold has seen nothing "
    "either (unguided.toml: 1000 steps of encoder and denoiser on scans where the parent takes 2000 and 2500); guides "
    f"have {FOLD_STEPS} steps there, half of those elsewhere; intervals are Student's over the five. One of them is "
    f"{VALIDATION}, by whom rates were chosen: that gap knows one choice of two. Terms of the bound are in squared "
    "levels; σ_d as on the card; concat has even weights by construction. shift: slabs overlap, so that no interval is "
    "given. through: by guides that are trained on slices of all planes and on anchors from thick slices; over the "
    "study's parent, and over `mri` of T2 alone; at dial 0, and `draw` one draw each of the same noise. speed: "
    "`denoiser` with what guides say kept from one evaluation to the next, as in slices; `denoiser_anew` without, and "
    "with what the gate finds in an anchor, as through the plane."
)


def main() -> None:
    asked = study_arguments(__doc__, PARTS)
    begun, folder = time.monotonic(), ROOT / "build" / "guides"
    installed = [name for name in PARTS if name != "shipped" or SHIPPED in known_priors()]
    parts = [name for name in PARTS if name in asked.part] or installed
    if "shipped" in parts and "shipped" not in installed:
        raise SystemExit(f"no prior is called {SHIPPED}; train it with recipes/mri_guided.toml, or name other parts")
    splits, root = ROOT / "recipes" / "splits.toml", scans.DATA.parents[1]
    select([f"mri/multicontrast@{part}" for part in ("train", "validation", "test")], root, splits)
    heads = {
        part: [found.path for found in select([f"mri/domain/brain_ms@{part}"], root, splits)]
        for part in ("train", "validation")
    }
    own = [str(asked.parents), str(folder / "priors"), os.environ.get("VERISCALE_PRIORS", "")]
    os.environ["VERISCALE_PRIORS"] = os.pathsep.join(filter(None, own))
    tell = lambda line: print(f"{time.monotonic() - begun:.0f} s: {line}", flush=True)  # noqa: E731
    study = Study(folder, asked.parents, heads, tell=tell)
    names, (seconds, scoring) = trained(parts), pace(study)
    print(
        f"guides: {len(names)} trainings of {seconds:.0f} s, about {len(names) * seconds / 60:.0f} minutes, less what"
    )
    print(f"is there; scores of a prior {scoring:.0f} s a subject and table")
    for name in parts:
        since, rows = time.monotonic(), PARTS[name].rows(study)
        for row in rows:
            print(f"{row.id}: {row.value:.4g} {row.unit} {row.interval} {row.against}", flush=True)
        write_results(f"guides_{name}", rows, NOTES, time.monotonic() - since)


if __name__ == "__main__":
    main()
