"""mri.draws.*: axial slices ×4 of the test subjects with draws and a dial, by the prior `mri`.

`--slices N` takes the N slices in the middle of those that are looked at, prints, and writes no results.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from cache import measured
from results import Row, write_results
from scan_inplane import AXIAL, measurement
from scans import CONTRASTS, SUBJECTS, scan
from slice_blocks import of_blocks
from veriscale.diffusion.prior import Prior
from veriscale.imaging.volume import Volume
from veriscale.metrics.bootstrap import Interval
from veriscale.metrics.draw_scores import LEVELS, draw_sums
from veriscale.metrics.foreground import foreground_on
from veriscale.metrics.scan_distortion import data_range
from veriscale.settings import Settings, settled
from veriscale.workflows.opening import load_prior
from veriscale.workflows.restoring.prior_restorer import PriorRestorer
from veriscale.workflows.scans.bound_table import BLOCK
from veriscale.workflows.scans.in_plane import prepare_slices

SCALE, SAMPLES, SEED = 4, 8, 0
EVERY = 8  # of so many neighbouring slices one is looked at
INNER = (0.25, 0.5, 0.75)
PATHS = ("renoise", "interpolate")
COVERAGE = 0.8
FEWEST = 100  # voxels of foreground in a slice
ITEMS = [f"{subject}/{contrast}" for subject in SUBJECTS for contrast in CONTRASTS]

Sums = dict[str, list[float]]


class Looked(NamedTuple):
    """Some slices of one volume.

    Attributes:
        places: of the slices in the volume.
        measurement: (x, y, N), with the levels of the whole volume.
        truth: (X, Y, N), in these levels.
        inside: (X, Y, N) bool, the foreground of the measurement.
        unit: the 99.9th percentile of the truth in it, in these levels.
    """

    places: list[int]
    measurement: Volume
    truth: np.ndarray
    inside: np.ndarray
    unit: float


def looked_at(item: str, every: int, slices: int | None = None) -> Looked:
    """One of so many slices of "ms19/T1" that hold foreground, or so many of these in the middle."""
    subject, contrast = item.split("/")
    truth = scan(subject, contrast)
    height, width = (n // SCALE * SCALE for n in truth.shape[:AXIAL])
    truth = replace(truth, samples=np.ascontiguousarray(truth.samples[:height, :width]))
    small = measurement(truth, SCALE)
    mask = foreground_on(truth.grid, small)
    places = [k for k in range(0, truth.shape[AXIAL], every) if mask[..., k].sum() >= FEWEST]
    if slices is not None:
        first = max(0, (len(places) - slices) // 2)
        places = places[first : first + slices]
    some = replace(small, samples=np.ascontiguousarray(small.samples[..., places]))
    unit = data_range(truth.values(), mask) / small.levels.width
    return Looked(places, some, small.levels.applied(truth.values())[..., places], mask[..., places], unit)


def measure(item: str, prior: Prior, slices: int | None) -> Sums:
    """Sums over the foreground of every slice that is looked at, in units of the volume's range, and its place."""
    places, some, truth, inside, unit = looked_at(item, EVERY, slices)
    x = truth / unit
    found: Sums = {"place": [float(k) for k in places], "voxels": inside.sum((0, 1)).astype(float).tolist()}
    for path in PATHS:
        dials = (0.0, *INNER, 1.0) if path == PATHS[0] else INNER
        samples = SAMPLES if path == PATHS[0] else None
        asked = Settings(scale=SCALE, dial=",".join(map(str, dials)), path=path, samples=samples, seed=SEED)
        restored = prepare_slices(PriorRestorer(prior, settled(asked)), some).restore(lambda what, done, of: None)
        for f, image in restored.images.items():
            square = np.where(inside, np.square(image.samples / unit - x), 0)
            found[f"{path} {f:g}"] = square.sum((0, 1)).tolist()
        if samples is None:
            continue
        draws = [draw.samples / unit for draw in restored.samples]
        for i in range(len(places)):
            sums = draw_sums([draw[..., i] for draw in draws], x[..., i], SEED, inside[..., i])
            told = {
                "crps": sums.crps,
                "variance": sums.spread.variance,
                "squared error": sums.spread.squared_error,
                "covered": sums.coverage.inside[LEVELS.index(COVERAGE)],
            }
            for name, value in told.items():
                found.setdefault(name, []).append(float(value))
    return found


def joined(found: Sequence[Sums], name: str, subjects: Sequence[str] = SUBJECTS) -> np.ndarray:
    """One sum for each block of slices of each subject, all contrasts together: they show the same place.

    Args:
        found: of `ITEMS`.
        name: of the sums.
        subjects: that count.
    """
    blocks: dict[tuple[str, int], float] = {}
    for item, of in zip(ITEMS, found, strict=True):
        subject = item.split("/")[0]
        for place, value in zip(of["place"], of[name], strict=True):
            unit = subject, int(place) // BLOCK
            blocks[unit] = blocks.get(unit, 0.0) + value
    return np.array([value for (subject, _), value in sorted(blocks.items()) if subject in subjects])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int)
    asked = parser.parse_args()
    begun = time.monotonic()
    prior = load_prior("mri")
    settings: dict[str, Any] = {"prior": prior.card.tensors_sha256, "slices": asked.slices}
    found = measured("mri_draws", settings, ITEMS, lambda item: measure(item, prior, asked.slices), 60.0)

    def bounded(statistic: Callable[..., Any], *names: str, subjects: tuple[str, ...] = SUBJECTS) -> Interval:
        return of_blocks([joined(found, name, subjects) for name in names], statistic)

    def row(id: str, what: str, of: Interval, bar: str | None) -> Row:
        return Row(f"mri.draws.{id}", f"Axial ×{SCALE}, {what}", of.estimate, "", (of.low, of.high), bar)

    rows = []
    low, high = f"{PATHS[0]} 0", f"{PATHS[0]} 1"
    for path in PATHS:
        for f in INNER:
            share = bounded(lambda a, b, c: (b - a) / (c - a), low, f"{path} {f:g}", high)
            what = f"share of the extra MSE at f = {f:g}, path {path}"
            rows.append(row(f"share_{path}_{f:g}", what, share, f"{f - 0.1:g}..{f + 0.1:g}"))
    for subjects, start in ((SUBJECTS, ""), *(((subject,), f"{subject}.") for subject in SUBJECTS)):
        where = "both subjects" if len(subjects) > 1 else subjects[0]
        numbers = {
            "g": (f"g = MSE(1)/MSE(0), {where}", lambda a, b: a / b, (high, low), ">= 1.75"),
            "spread_skill": (
                f"spread–skill of {SAMPLES} draws, {where}; 1 is calibrated",
                lambda v, e: np.sqrt((SAMPLES + 1) / SAMPLES * v / e),
                ("variance", "squared error"),
                "0.85..1.15",
            ),
            "coverage_80": (
                f"share of voxels inside of t-intervals of {SAMPLES} draws at {COVERAGE:.0%}, {where}",
                lambda a, b: a / b,
                ("covered", "voxels"),
                "0.72..0.88",
            ),
            "crps": (
                f"CRPS of {SAMPLES} draws, {where}, thousandths",
                lambda a, b: 1000 * a / b,
                ("crps", "voxels"),
                None,
            ),
        }
        for end, (what, statistic, names, bar) in numbers.items():
            found_of = bounded(statistic, *names, subjects=subjects)
            rows.append(row(f"{start}{end}", what, found_of, bar if subjects == SUBJECTS else None))
    for each in rows:
        print(each.id, f"{each.value:.4g}", each.interval, each.bar or "", "" if each.holds is None else each.holds)
    if asked.slices is not None:
        print("A part of the table is no result: nothing is written.")
        return
    notes = (
        f"One of {EVERY} axial slices of all contrasts of {' and '.join(SUBJECTS)}, in the foreground of the "
        "measurement, each volume in units of its 99.9th percentile there; truth cropped at its ends to a multiple of "
        f"the scale, measured by bicubic, not rounded. {SAMPLES} draws at dial 1. Intervals are bootstraps over "
        f"blocks of {BLOCK} neighbouring slices of a subject, all its contrasts together."
    )
    write_results("mri_draws", rows, notes, time.monotonic() - begun)


if __name__ == "__main__":
    main()
