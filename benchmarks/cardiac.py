"""cardiac.psnr.*, cardiac.spread.*, cardiac.ventricle.*: whole hearts ×4 by the prior `cardiac`, and others beside it.

`--small` takes two patients of each set and a slice of each, prints, and writes no results.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cache import measured
from cardiac_patients import SCALE, judged, middle
from cardiac_rows import COVERED, JUDGED, PRIOR, RAW, TEMPERED, Patients, psnr_rows, spread_rows, ventricle_rows
from few_shot_scores import SAMPLES, SEED, Slices, fitting, restoration, whole_of
from pictures import DATA
from results import print_and_write
from scan_inplane import baselines
from ventricle import BloodPool, blood_pools
from veriscale.diffusion.prior import Prior
from veriscale.imaging.npz import EXTENSION, KEY
from veriscale.metrics.draw_scores import LEVELS, draw_sums
from veriscale.metrics.uncertainty import spread_skill
from veriscale.workflows.opening import load_prior

OTHERS = ("mri", "photo")
LABEL = "label"
FEW = 2  # patients of `--small`
SECONDS = 60.0  # of a patient of ten slices
SECONDS_SMALL = 8.0


def measure(file: Path, priors: dict[str, Prior], slices: int | None) -> dict[str, Any]:
    """Of one patient: PSNR at dial 0 by name, what the draws say, and the areas of blood where there are labels."""
    whole = whole_of(file, SCALE)
    places = middle(whole.truth.shape[2], slices)
    seen = whole.at(places)
    levels = seen.measurement.levels
    images = {name: levels.applied(image) for name, image in baselines(seen.measurement, SCALE).items()}
    images |= {name: restoration(priors[name], seen.measurement, SCALE, None).image.samples for name in OTHERS}
    found = restoration(priors[PRIOR], seen.measurement, SCALE, SAMPLES)
    images[PRIOR], draws = found.image.samples, [draw.samples for draw in found.samples]
    temperatures = {RAW: 1.0, TEMPERED: priors[PRIOR].card.temperature}
    return {
        "psnr": {name: seen.psnr(image) for name, image in images.items()},
        "spread": {kind: said(draws, seen, temperature) for kind, temperature in temperatures.items()},
        "areas": areas(
            pools_of(file),
            places,
            {name: levels.undone(image) for name, image in images.items()},
            [levels.undone(draw) for draw in draws],
        ),
    }


def said(draws: Sequence[np.ndarray], slices: Slices, temperature: float) -> dict[str, float]:
    """What draws say, their deviations times a temperature; and the sums that it is of several patients."""
    sums = draw_sums(draws, slices.truth, SEED, slices.mask, temperature)
    return {
        "spread_skill": spread_skill(sums.spread),
        "variance": sums.spread.variance,
        "squared error": sums.spread.squared_error,
        "covered": float(sums.coverage.inside[LEVELS.index(COVERED)]),
        "voxels": float(sums.coverage.places),
    }


def pools_of(file: Path) -> list[BloodPool]:
    """The blood pools of a patient, in the scan's units; none of one without labels."""
    if file.suffix != EXTENSION:
        return []
    with np.load(file) as archive:
        truth, labels = archive[KEY], archive[LABEL]
    cut = slice(None), *fitting(truth.shape[1:], SCALE)
    return blood_pools(truth[cut], labels[cut])


def areas(
    pools: Sequence[BloodPool], places: Sequence[int], images: dict[str, np.ndarray], draws: Sequence[np.ndarray]
) -> dict[str, Any]:
    """Pixels of blood, slice by slice: in the truth, by name at dial 0, and in each of the draws.

    Args:
        pools: of the whole scan.
        places: of the slices that images and draws hold.
        images: (X, Y, N) by name, in the scan's units.
        draws: (X, Y, N) each, in the scan's units.
    """
    at = [(places.index(pool.slice), pool) for pool in pools if pool.slice in places]
    return {
        "truth": [pool.truth for _, pool in at],
        "dial 0": {name: [pool.area(image[..., k]) for k, pool in at] for name, image in images.items()},
        "draws": [[pool.area(draw[..., k]) for k, pool in at] for draw in draws],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true")
    small = parser.parse_args().small
    begun = time.monotonic()
    files = judged(DATA.parent)
    sets = {on: [item for item in files if item.startswith(f"{on}/")] for on in (JUDGED, "sunnybrook")}
    sets = {on: items[: FEW if small else None] for on, items in sets.items()}
    priors = {name: load_prior(name) for name in (PRIOR, *OTHERS)}
    cards = {name: prior.card for name, prior in priors.items()}
    settings = {
        "priors": {name: [card.tensors_sha256, card.deciding_sha256(SCALE)] for name, card in cards.items()},
        "temperature": cards[PRIOR].temperature,
        "small": small,
    }
    items = [item for on in sets.values() for item in on]
    scored = measured(
        "cardiac",
        settings,
        items,
        lambda item: measure(files[item], priors, 1 if small else None),
        SECONDS_SMALL if small else SECONDS,
    )
    found = dict(zip(items, scored, strict=True))
    patients: dict[str, Patients] = {on: [found[item] for item in those] for on, those in sets.items()}
    rows = [row for of in (psnr_rows, spread_rows) for on in patients for row in of(patients[on], on)]
    rows += ventricle_rows(patients[JUDGED])
    print_and_write("cardiac", rows, NOTES, time.monotonic() - begun, part=small)


NOTES = (
    "All slices of the 8 test patients of recipes/splits.toml, and of four Sunnybrook patients, of another scanner, at "
    "the end of diastole, none of whom trained or chose anything. Truth cut evenly at its edges to a multiple of the "
    "scale, measured by bicubic without noise, not rounded. In the foreground of the measurement, which no truth "
    "decides; PSNR with the 99.9th percentile of the truth there for its range. "
    f"{SAMPLES} draws, as `restore` makes them; the temperature is the prior's own, fitted on validation patients. "
    "A patient is one unit: numbers are means over patients, of spread–skill the geometric one, with Student's "
    "interval over patients; beside them what all voxels of all patients together say, and the range over patients. "
    "The ventricle by benchmarks/ventricle.py: errors of the area of each slice as shares of the true one, slices of a "
    "patient averaged first; intervals of the area are t-intervals of the areas in the draws, of which no temperature "
    "is asked. The temperature comes out so near to 1 that rows after it say nothing new. The priors mri and photo are "
    "as they are shipped; photo takes a slice as three equal channels."
)


if __name__ == "__main__":
    main()
