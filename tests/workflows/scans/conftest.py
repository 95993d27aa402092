"""Scans that workflows are tested on, and their restorers."""

import nibabel
import numpy as np
import pytest

from veriscale.settings import Settings, settled
from veriscale.workflows.restoring.prior_restorer import PriorRestorer

OBLIQUE = np.array([[0.1, -1.9, 0.3, 40], [2.0, 0.1, 0.2, -30], [-0.1, -0.3, 4.8, 12], [0, 0, 0, 1]])


def blob(shape, affine, at, width=9.0):
    """A Gaussian of a world position, in voxels of any grid."""
    voxels = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    world = voxels @ affine[:3, :3].T + affine[:3, 3]
    return np.exp(-0.5 * np.square(world - at).sum(-1) / width**2)


def centroid(path):
    """Of a file's values above a background of 5 % of their maximum, in the world, by nibabel."""
    image = nibabel.load(path)
    values = image.get_fdata()
    values = np.clip(values - 0.05 * values.max(), 0, None)
    voxels = np.stack(np.meshgrid(*map(np.arange, values.shape), indexing="ij"), -1).reshape(-1, 3)
    mean = (voxels * values.reshape(-1, 1)).sum(0) / values.sum()
    return image.affine[:3, :3] @ mean + image.affine[:3, 3]


@pytest.fixture
def scan(tmp_path):
    """An oblique scan of a blob, thick along its third axis, with texture."""
    shape = (20, 18, 9)
    at = OBLIQUE[:3, :3] @ (np.array(shape) - 1) / 2 + OBLIQUE[:3, 3] + (1.3, -0.7, 0.9)
    values = 1000 * blob(shape, OBLIQUE, at) + np.random.default_rng(0).uniform(0, 5, shape)
    path = tmp_path / "Doe_John_1970.nii.gz"
    nibabel.save(nibabel.Nifti1Image(values.astype(np.int16), OBLIQUE), path)
    return path


@pytest.fixture
def restorer(tiny):
    """A restorer by the tiny prior with settings."""

    def make(**asked) -> PriorRestorer:
        return PriorRestorer(tiny, settled(Settings(**asked)))

    return make
