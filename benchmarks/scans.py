"""The scans that tables are measured on: registered contrasts of one subject, and what is brain in them."""

import os
from functools import cache
from pathlib import Path

import numpy as np

from results import ROOT
from veriscale.imaging.nifti.read import read_volume
from veriscale.imaging.volume import Volume

DATA = Path(os.environ.get("VERISCALE_DATA") or ROOT.parent / "shared" / "data") / "mri" / "multicontrast"
SUBJECTS = ("ms19", "gli00001")
"""Of the test split: they are in no prior's training and choose nothing."""
CONTRASTS = ("T1", "T1C", "T2", "FLAIR")
_BRAIN = 3  # contrasts that are not 0


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
