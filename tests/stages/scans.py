"""Small scans of smooth blobs, for tests of what is trained on them."""

from pathlib import Path

import nibabel
import numpy as np
from scipy.ndimage import gaussian_filter
from tests.toy_recipe import toy_networks, toy_phase

RECIPE = (
    """
name = "scans"
seed = 3
[task]
channels = 1
operators = ["downsample:factor=2", "downsample:factor=4"]
unconditional = 0.3
"""
    + toy_networks()
    + """
[[stage]]
name = "toy"
data = ["set@train"]
validation = ["set@validation"]
licence = "CC0"
"""
    + toy_phase("encoder", 30, 8, "ema = 0.9")
    + toy_phase("denoiser", 30, 32, "ema = 0.9")
    + toy_phase("predictor", 30, 8, "ema = 0.9")
)


def blobs(shape: tuple[int, int, int], seed: int = 0) -> np.ndarray:
    """Values from 0 to 1000 in the middle of each slice and 0 around; nothing in the first two slices of the third."""
    values = gaussian_filter(np.random.default_rng(seed).normal(size=shape), 2)
    values = 300 + 200 * values / values.std()
    values[:4], values[-4:], values[:, :4], values[:, -4:], values[..., :2] = 0, 0, 0, 0, 0
    return values.clip(0, 1000).astype(np.float32)


def write(
    path: Path,
    shape: tuple[int, int, int] = (42, 50, 8),
    spacing: tuple[float, float, float] = (1.0, 1.0, 5.0),
    seed: int = 0,
) -> np.ndarray:
    """A NIfTI file of blobs in axes RAS; returns them."""
    values = blobs(shape, seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.Nifti1Image(values, np.diag([*spacing, 1.0])).to_filename(path)
    return values


def write_set(folder: Path) -> None:
    """Three subjects: two files of `one`, one of `two`, two of `held`."""
    for seed, name in enumerate(["one/T1", "one/T2", "two/T1", "held/T1", "held/T2"]):
        write(folder / f"{name}.nii.gz", shape=(42, 50 + 2 * seed, 8 + seed), seed=seed)
