"""The scans that tables are measured on: registered contrasts of one subject, and what is brain in them."""

import os
from functools import cache
from pathlib import Path

import numpy as np

from results import ROOT
from veriscale.imaging.nifti.read import read_volume
from veriscale.imaging.volume import Volume
from veriscale.metrics.bootstrap import Interval

DATA = Path(os.environ.get("VERISCALE_DATA") or ROOT.parent / "shared" / "data") / "mri" / "multicontrast"
SUBJECTS = ("ms19", "gli00001")
"""Of the test split: they are in no prior's training and choose nothing."""
CONTRASTS = ("T1", "T1C", "T2", "FLAIR")
PRIORS = ("mri", "photo")
"""What scans are restored by unless another is asked for, and the one before it."""
_BRAIN = 3  # contrasts that are not 0
_BLOCK = 10  # neighbouring slices, which resemble one another


def file(subject: str, contrast: str) -> Path:
    """The scan of a subject."""
    path = DATA / subject / f"{subject}_{contrast}.nii.gz"
    if not path.is_file():
        raise SystemExit(f"{DATA} holds no {path.name}; set VERISCALE_DATA")
    return path


def scan(subject: str, contrast: str) -> Volume:
    """A subject's contrast."""
    return read_volume(file(subject, contrast))


@cache
def brain(subject: str) -> np.ndarray:
    """(X, Y, Z) bool: voxels that are not 0 in at least three contrasts."""
    seen = sum((scan(subject, contrast).values() != 0).astype(np.uint8) for contrast in CONTRASTS)
    return np.asarray(seen >= _BRAIN)


def block_gain(ours: np.ndarray, other: np.ndarray) -> Interval:
    """By how many dB ours errs less, mean over volumes, with a bootstrap over blocks of slices within one subject.

    Args:
        ours, other: (volumes, slices), squared errors summed over the same voxels of each slice.
    """
    blocks = np.arange(ours.shape[1]) // _BLOCK
    sums = np.stack([[v[:, blocks == k].sum(1) for k in range(blocks[-1] + 1)] for v in (ours, other)])

    def gain(picked: np.ndarray) -> float:
        mine, theirs = sums[:, picked].sum(1)
        return float((10 * np.log10(theirs / mine)).mean())

    rng, count = np.random.default_rng(0), sums.shape[1]
    drawn = [gain(rng.integers(count, size=count)) for _ in range(2000)]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Interval(gain(np.arange(count)), float(low), float(high))
