"""Whatever way the axes of a scan run, what was at a place is there still: a blob, measured and linearly restored."""

from dataclasses import replace
from itertools import permutations, product

import nibabel
import numpy as np
import pytest
import torch
from tests.imaging.dicom.synthetic import slices, write
from tests.workflows.scans.conftest import blob, centroid

from veriscale.imaging.geometry import Grid
from veriscale.imaging.nifti.read import read_volume
from veriscale.imaging.nifti.write import write_volume
from veriscale.imaging.volume import Volume
from veriscale.physics.operator import LinearOperator
from veriscale.workflows.degrading.scan_degradation import degrade_scan
from veriscale.workflows.scans.in_plane import PreparedSlices
from veriscale.workflows.scans.reading import read_scan
from veriscale.workflows.scans.scan_job import scan_job

ORIENTATIONS = [
    np.eye(3)[:, order] * signs for order, signs in product(permutations(range(3)), product((1, -1), repeat=3))
]
OBLIQUE, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))
SHEARED = OBLIQUE @ [[1, 0.2, 0], [0, 1, -0.3], [0, 0, 1]]


def linearly_restored(restorer, path) -> Volume:
    """On the grid that a restoration has and by its operator's adjoint, which keeps centroids: no network answers."""
    job = scan_job(restorer, read_scan(path))
    (step,) = job.steps()
    work, volume = step(job.volume), job.volume
    through = not isinstance(work, PreparedSlices)
    operator = work.method.operator if through else work.middle.plan.operator
    assert isinstance(operator, LinearOperator)
    planes = volume.samples[None] if through else np.moveaxis(volume.samples, volume.slice_axis, 0)[:, None]
    # a stack of slices is a batch, and a volume one picture of three dimensions
    x = operator.adjoint(torch.from_numpy(np.ascontiguousarray(planes[None] if through else planes)))
    samples = x[0, 0].numpy() if through else np.moveaxis(x[:, 0].numpy(), 0, volume.slice_axis)
    assert samples.shape == work.grid.shape
    return volume.like(np.ascontiguousarray(samples)[None], work.grid.affine)


@pytest.mark.parametrize(
    "thick, operator, asked",
    [
        (4.0, "downsample:factor=2", {"scale": 2}),
        (4.0, "downsample:factor=2", {"spacing": (1.3, 1.7, None)}),
        (1.0, "slice:fwhm=4,step=4,axis={axis}", {"spacing": (None, None, 1.0)}),
        (1.0, "slice:fwhm=5,step=5,axis={axis}", {"spacing": (None, None, 1.3)}),
    ],
)
def test_a_blob_stays_where_it_is_in_every_orientation(restorer, tmp_path, thick, operator, asked):
    rng = np.random.default_rng(0)
    for k, directions in enumerate([*ORIENTATIONS, OBLIQUE, SHEARED]):
        axis = (k + k // 8) % 3
        spacing, shape = np.ones(3), [32, 32, 32]
        spacing[axis], shape[axis] = thick, round(44 / thick)
        affine = nibabel.affines.from_matvec(directions * spacing, rng.uniform(-100, 100, 3))
        at = affine[:3, :3] @ (np.array(shape) - 1) / 2 + affine[:3, 3] + rng.uniform(-1, 1, 3)
        image = nibabel.Nifti1Image((1000 * blob(shape, affine, at, 4.5)).astype(np.float32), affine)
        image.header.set_dim_info(slice=axis)
        nibabel.save(image, tmp_path / "truth.nii")
        y = degrade_scan(tmp_path / "truth.nii", tmp_path / "y.nii", operator.format(axis=axis), force=True)
        settings = dict(asked)
        if "spacing" in asked:
            *plane, along = ("-" if each is None else str(each) for each in asked["spacing"])
            plane.insert(axis, along)
            settings["spacing"] = ",".join(plane)
        write_volume(linearly_restored(restorer(**settings), y), tmp_path / "x.nii", force=True)
        # the measurement too: what degrading moves, restoring may move back
        off = [np.linalg.norm(centroid(file) - at) for file in (tmp_path / "x.nii", y)]
        assert max(off) <= 0.05, (nibabel.aff2axcodes(affine), axis, off)


def test_a_blob_that_was_moved_is_seen(tmp_path):
    """The judge: a tenth of a millimetre is no zero."""
    shape, affine, at = (32, 32, 32), np.eye(4), np.array([15.3, 16.1, 15.8])
    nibabel.save(nibabel.Nifti1Image(blob(shape, affine, at, 4.5), affine), tmp_path / "a.nii")
    volume = read_volume(tmp_path / "a.nii")
    moved = Grid(nibabel.affines.from_matvec(np.eye(3), (0.1, 0, 0)), shape)
    write_volume(replace(volume, affine=moved.affine), tmp_path / "b.nii")
    assert np.linalg.norm(centroid(tmp_path / "a.nii") - at) <= 0.01
    assert np.linalg.norm(centroid(tmp_path / "b.nii") - at) == pytest.approx(0.1, abs=0.01)


def test_a_series_lies_where_its_rounded_headers_say(tmp_path):
    """Direction cosines of four digits are not quite perpendicular, and are taken as they stand."""
    made = slices(n=4, shape=(200, 180), orientation=(0.8658, 0.4892, 0.1051, -0.1811, 0.5018, -0.8458))
    write_volume(read_scan(write(tmp_path / "series", made)).volume, tmp_path / "a.nii")
    affine, headers = nibabel.load(tmp_path / "a.nii").affine, made[-1]
    x, y = np.reshape(np.array(headers.ImageOrientationPatient, float), (2, 3))
    for row, column in ((0, 0), (199, 0), (0, 179), (199, 179)):
        lps = np.array(headers.ImagePositionPatient, float) + 0.75 * row * y + 0.5 * column * x
        np.testing.assert_allclose(affine @ (row, column, 3, 1), [*(lps * [-1, -1, 1]), 1], atol=1e-4)
