"""Small scans of a dozen patients: smooth blobs of two slices, so that a calibration takes seconds."""

from pathlib import Path

import nibabel
import numpy as np
from scipy.ndimage import gaussian_filter

SHAPE = (40, 36, 2)


def blobs(seed: int, shape: tuple[int, int, int] = SHAPE) -> np.ndarray:
    """Integers from 0 to about 1000 in the middle of each slice and 0 around, with edges and texture."""
    rng = np.random.default_rng(seed)
    values = gaussian_filter(rng.normal(size=shape), (2, 2, 0)) + 0.1 * gaussian_filter(rng.normal(size=shape), 0.7)
    values = 400 + 200 * values / values.std()
    values[:6], values[-6:], values[:, :5], values[:, -5:] = 0, 0, 0, 0
    return values.clip(0, 1000).astype(np.int16)


def write_scan(path: Path, seed: int, shape: tuple[int, int, int] = SHAPE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.Nifti1Image(blobs(seed, shape), np.diag([1.0, 1.0, 5.0, 1.0])).to_filename(path)
    return path


def write_patients(folder: Path, count: int, first: int = 0) -> Path:
    """One scan of each, two of the first."""
    for k in range(count):
        write_scan(folder / f"Doe{k:02}_T1.nii.gz", first + k)
    write_scan(folder / "Doe00_T2.nii.gz", first + 900)
    return folder
