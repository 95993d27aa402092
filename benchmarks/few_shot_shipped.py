"""fewshot.*.shipped_k10.*: stages against direct fine-tuning once more, by networks of the shipped size.

By stages is the prior `cardiac`. The direct one is its recipe after the photographs in grey, build/mri-source, which
`mri` came from too; it is trained here into build/, for about 40 minutes on two cores; cut off, it goes on. `--small`
scores two patients, with `mri` for the direct prior, and writes no results.
"""

import argparse
import hashlib
import json
import time
from pathlib import Path

import numpy as np

from cache import measured
from cardiac_patients import SCALE, judged
from few_shot_rows import difference
from few_shot_scores import SAMPLES, SIDE, SLICES, Numbers, scores, slices_of
from pictures import DATA
from results import ROOT, Row, print_and_write
from veriscale.diffusion.checkpoint import read_card
from veriscale.diffusion.library import find_prior
from veriscale.stages.recipe_file import read_recipe
from veriscale.stages.training import train
from veriscale.workflows.opening import load_prior

PRIOR, IN_ITS_PLACE = "cardiac", "mri"
PARENT = ROOT / "build" / "mri-source.safetensors"
RECIPE = ROOT / "recipes" / "cardiac.toml"
NUMBERS = {"psnr": "msp_dft", "crps": "msp_dft", "spread": "uncertainty", "coverage": "uncertainty"}
"""Of `few_shot_scores.scores`, to the family that the small networks' rows are in."""
FEW = 2
SECONDS = 25.0  # of a patient, by both priors


def direct(folder: Path) -> Path:
    """The file of the prior without a stage of heads, trained where it is not there, and taken up where it was left."""
    if not PARENT.exists():
        raise SystemExit(f"{PARENT} is not there; make it with `make {PARENT.relative_to(ROOT)}`")
    made_of = [RECIPE.read_text(encoding="utf-8"), read_card(PARENT).tensors_sha256]
    digest = hashlib.sha256(json.dumps(made_of).encode()).hexdigest()[:8]
    path = folder / f"{PRIOR}-direct-{digest}.safetensors"
    if not path.exists():
        train(RECIPE, path, resume=True, overrides=[f"stage.target.init_from={PARENT}"])
    return path


def rows_of(on: str, by_stages: list[Numbers], directly: list[Numbers]) -> list[Row]:
    """The former less the latter, patient by patient."""
    count = read_recipe(RECIPE).stage[0].subjects
    former, latter = f"MSP-{count}", f"DFT-{count}"
    what, rows = f"{on} ×{SCALE}, shipped size, {former} less {latter}", []
    for number, family in NUMBERS.items():
        a, b = (np.array([[each[number] for each in found]]) for found in (by_stages, directly))
        rows.append(difference(f"fewshot.{family}.{on}.shipped_k{count}", what, number, former, a, latter, b))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true")
    small = parser.parse_args().small
    begun = time.monotonic()
    files = judged(DATA.parent)
    items = list(files)[: FEW if small else None]
    paths = {PRIOR: find_prior(PRIOR), "direct": find_prior(IN_ITS_PLACE) if small else direct(ROOT / "build")}
    cards = {name: read_card(path) for name, path in paths.items()}
    settings = {name: [card.tensors_sha256, card.deciding_sha256(SCALE)] for name, card in cards.items()}
    priors = {name: load_prior(path) for name, path in paths.items()}

    def measure(item: str) -> dict[str, Numbers]:
        seen = slices_of(files[item], SCALE)
        return {name: scores(prior, seen, SCALE) for name, prior in priors.items()}

    found = dict(zip(items, measured("few_shot_shipped", settings, items, measure, SECONDS), strict=True))
    rows = []
    for on in ("acdc", "sunnybrook"):
        those = [each for item, each in found.items() if item.startswith(f"{on}/")]
        if those:
            rows += rows_of(on, *([each[name] for each in those] for name in paths))
    print_and_write("few_shot_shipped", rows, NOTES, time.monotonic() - begun, part=small)


NOTES = (
    "The prior cardiac, which comes from photographs by way of heads, and the same recipe, patients, seed, steps at "
    "most and stopping rule after photographs in grey, the first stage of mri. One draw of patients: the interval is "
    "Student's over patients, and nothing is claimed of other draws. Both have the recipe's settings, whose steps, "
    "rate and patience were chosen on the validation patients with cardiac alone: the direct one had no trials of its "
    "own. The heads of cardiac's parent took steps of theirs, so that the total is not equal. Slices and scores as in "
    "few_shot: "
    f"{SLICES} slices a patient, the middle {SIDE}², bicubic, no noise, {SAMPLES} draws; here with the level ratio of "
    "each card."
)


if __name__ == "__main__":
    main()
