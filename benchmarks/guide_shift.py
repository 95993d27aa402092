"""How often a shifted guide is found, and a clean one suspected, on training subjects: what `SURE` was chosen by.

Prints, and writes no results: the rows guides.shift.* are of the test subjects.
"""

import argparse
from collections.abc import Sequence

import numpy as np

from scans import scan
from veriscale.guides.registration import REACH, Fit, registration
from veriscale.imaging.resampling import resampled
from veriscale.workflows.degrading.scan_measurement import measure_scan

TRAINING = ("ms07", "gli00000", "tcgafg6692", "pgbm003")
TARGET, GUIDES = "T2", ("T1", "T1C", "FLAIR")
DEPTH = 40  # slices of a slab
MIDDLE = 0.5
Trial = tuple[tuple[int, int, int], Fit]


def trials(subject: str, guide: str, factor: int, count: int, seed: int = 0, about: float = MIDDLE) -> list[Trial]:
    """The guide as it lies, and moved in plane by 2 to 6 voxels along either axis or both, each with what is found.

    Args:
        subject: of the scans.
        guide: its contrast.
        factor: by which the target's slices are measured coarser.
        count: of the shifts.
        seed: of the shifts.
        about: of the way from foot to head, where the slab lies.
    """
    truth, samples = scan(subject, TARGET), scan(subject, guide).samples
    first = max(0, int(about * (truth.shape[2] - DEPTH)))
    part = (..., slice(first, first + DEPTH))
    measured = resampled(measure_scan(truth, f"downsample:factor={factor}").volume, truth.grid)[part]
    rng, found = np.random.default_rng(seed), []
    for k in range(count + 1):
        moved = rng.integers(2, REACH, 2, endpoint=True) * rng.choice([-1, 1], 2) * [(1, 1), (1, 0), (0, 1)][k % 3]
        x, y = (0, 0) if k == 0 else moved.tolist()
        fit = registration(measured, np.roll(samples, (x, y), (0, 1))[part], (factor / 2, factor / 2, 0.5))
        found.append(((x, y, 0), fit))
    return found


def rates(found: Sequence[Trial]) -> tuple[float, float]:
    """The share of shifts that are found within 1 voxel and said, and the share of clean guides that are suspected."""
    moved = [(by, fit) for by, fit in found if any(by)]
    right = [fit.off and np.abs(np.add(fit.shift, by)).max() <= 1 for by, fit in moved]
    clean = [fit.off for by, fit in found if not any(by)]
    return float(np.mean(right)), float(np.mean(clean))


def main() -> None:
    """Print a line for each guide."""
    options = argparse.ArgumentParser()
    options.add_argument("--shifts", type=int, default=6)
    asked = options.parse_args()
    print(f"{len(TRAINING) * len(GUIDES) * 2 * (asked.shifts + 1)} fits, about 0.5 s each on one core")
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
