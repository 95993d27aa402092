"""A tiny grey prior with guides, and a scan with guides beside it."""

from pathlib import Path

import nibabel
import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from tests.conftest import write_tiny
from tests.guides.conftest import write_guides

from veriscale.diffusion.checkpoint import load_checkpoint

MODALITIES = ["T1", "FLAIR", "edges", "labels"]
COARSE = np.array([[-2.0, 0, 0, 30], [0, 2, 0, -20], [0, 0, 4, 5], [0, 0, 0, 1]])
SHAPE = (12, 10, 5)


def install(folder: Path, **changes: object) -> Path:
    """A folder with the priors `grey` and, that guide it, `grey-guided`."""
    folder.mkdir(parents=True, exist_ok=True)
    prior = load_checkpoint(write_tiny(folder / "grey.safetensors", 1), torch.device("cpu"), torch.float32)
    write_guides(folder / "grey-guided.safetensors", prior, modalities=MODALITIES, **changes)
    return folder


def finer(factor: int) -> tuple[np.ndarray, tuple[int, int, int]]:
    """Affine and shape of the grid of SHAPE in COARSE, so many times finer in plane, over the same extent."""
    matrix = COARSE.copy()
    matrix[:3, :2] /= factor
    matrix[:3, 3] += COARSE[:3, :2] @ np.full(2, 0.5 / factor - 0.5)
    return matrix, (SHAPE[0] * factor, SHAPE[1] * factor, SHAPE[2])


def values(shape: tuple[int, int, int], seed: int) -> np.ndarray:
    smooth = gaussian_filter(np.random.default_rng(seed).normal(size=shape), 1.0)
    return (400 + 200 * smooth / smooth.std()).clip(0).astype(np.float32)


def save(path: Path, samples: np.ndarray, affine: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(samples, affine), path)
    return path


def write_subject(folder: Path, name: str = "Doe", factor: int = 2, seed: int = 0) -> Path:
    """`<name>_T2.nii.gz` in COARSE, with `_T1` on a grid so many times finer in plane and a shifted `_FLAIR`."""
    matrix, shape = finer(factor)
    save(folder / f"{name}_T1.nii.gz", values(shape, seed + 1), matrix)
    moved = matrix.copy()
    moved[0, 3] -= 8
    save(folder / f"{name}_FLAIR.nii.gz", values(shape, seed + 2), moved)
    return save(folder / f"{name}_T2.nii.gz", values(SHAPE, seed), COARSE)
