"""How often a shifted guide is found, and a clean one suspected, on training subjects: what `SURE` was chosen by.

Prints, and writes no results: the rows guides.shift.* are of the test subjects.
"""

import argparse
from collections.abc import Sequence
from itertools import product

import numpy as np

from scans import scan
from veriscale.guides.registration import REACH, Fit, registration
from veriscale.imaging.resampling import resampled
from veriscale.stages.batches import key
from veriscale.workflows.degrading.scan_measurement import measure_scan

TRAINING = ("ms07", "gli00000", "tcgafg6692", "pgbm003")
LEAST = 2  # voxels
TARGET, GUIDES = "T2", ("T1", "T1C", "FLAIR")
DEPTH = 40  # slices of a slab
MIDDLE = 0.5
SINGLE = [
    by for by in product(range(-REACH, REACH + 1), repeat=3) if np.count_nonzero(by) == 1 and sum(map(abs, by)) >= LEAST
]
"""Every shift along one axis."""
Trial = tuple[tuple[int, int, int], Fit]


def shifts(count: int, *of: object) -> list[tuple[int, int, int]]:
    """None, all of 2 to 6 voxels along one axis, and so many drawn ones along both axes in plane.

    Args:
        count: of those that are drawn.
        of: what they are drawn for.
    """
    rng = np.random.default_rng(key("shift", *of))
    both = rng.integers(LEAST, REACH, (count, 2), endpoint=True) * rng.choice([-1, 1], (count, 2))
    return [(0, 0, 0), *SINGLE, *((x, y, 0) for x, y in both.tolist())]


def trials(subject: str, guide: str, factor: int, count: int, about: float = MIDDLE) -> list[Trial]:
    """The guide as it lies, and moved by `shifts`, each with what is found.

    Args:
        subject: of the scans.
        guide: its contrast.
        factor: by which the target's slices are measured coarser.
        count: of the shifts along both axes.
        about: of the way from foot to head, where the slab lies.
    """
    truth, samples = scan(subject, TARGET), scan(subject, guide).samples
    first = max(0, int(about * (truth.shape[2] - DEPTH)))
    part = (..., slice(first, first + DEPTH))
    measured = resampled(measure_scan(truth, f"downsample:factor={factor}").volume, truth.grid)[part]
    return [
        (by, registration(measured, np.roll(samples, by, (0, 1, 2))[part], (factor / 2, factor / 2, 0.5)))
        for by in shifts(count, subject, guide, factor, about)
    ]


def rates(found: Sequence[Trial]) -> tuple[float, float]:
    """The share of shifts that are found within 1 voxel and said, and the share of clean guides that are suspected."""
    moved = [(by, fit) for by, fit in found if any(by)]
    right = [fit.off and np.abs(np.add(fit.shift, by)).max() <= 1 for by, fit in moved]
    clean = [fit.off for by, fit in found if not any(by)]
    return float(np.mean(right)), float(np.mean(clean))


def main() -> None:
    """Print a line for each guide."""
    options = argparse.ArgumentParser()
    options.add_argument("--shifts", type=int, default=6, help="along both axes, drawn for each guide")
    asked = options.parse_args()
    print(f"{len(TRAINING) * len(GUIDES) * 2 * (1 + len(SINGLE) + asked.shifts)} fits, about 0.5 s each on one core")
    every = []
    for subject in TRAINING:
        for guide in GUIDES:
            for factor in (2, 4):
                found = trials(subject, guide, factor, asked.shifts)
                least = min(fit.gain for by, fit in found if any(by))
                most = max(fit.gain for by, fit in found if not any(by))
                print(f"{subject} {guide} x{factor}: gain of the clean one {most:.3f}, of a shifted one {least:.3f} up")
                every += found
    right, wrong = rates(every)
    print(f"found within 1 voxel and said: {right:.1%}; clean ones suspected: {wrong:.1%}")


if __name__ == "__main__":
    main()
