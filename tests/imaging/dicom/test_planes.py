"""Slices lie where the affine says, and were made from the slices that they say."""

import numpy as np
import pytest

from veriscale.errors import InputError
from veriscale.imaging.dicom.planes import check_parallel, contributing, planes_of
from veriscale.imaging.dicom.stack import stacked

AFFINE = stacked(
    np.array([[0.96, 0.28, 0, -0.168, 0.576, 0.8]] * 3),
    np.array([[1.0, 2, 3] + 5 * k * np.cross([0.96, 0.28, 0], [-0.168, 0.576, 0.8]) for k in range(3)]),
    (0.7, 0.9),
).affine


def test_planes_make_the_affine_again():
    planes = planes_of(AFFINE, 4)
    again = stacked(np.array([planes.orientation] * 4), planes.positions, planes.spacing)
    np.testing.assert_allclose(again.affine, AFFINE, atol=1e-12)
    assert planes.spacing == pytest.approx((0.7, 0.9))
    np.testing.assert_allclose(np.diff(planes.heights), 5)


def finer(factor: int) -> np.ndarray:
    """The grid with `factor` slices for one, over the same extent."""
    affine = AFFINE.copy()
    affine[:3, 2] /= factor
    affine[:3, 3] += AFFINE[:3, 2] * (0.5 / factor - 0.5)
    return affine


def test_contributing_slices():
    source = planes_of(AFFINE, 3)
    assert contributing(planes_of(AFFINE, 3), source) == [(0,), (1,), (2,)]
    moved = AFFINE.copy()
    moved[:3, 3] += AFFINE[:3, 2]
    assert contributing(planes_of(moved, 2), source) == [(1,), (2,)]
    assert contributing(planes_of(finer(3), 9), source) == [(0, 1, 2)] * 9


def test_axes_have_to_run_as_the_source_s():
    check_parallel(finer(2), AFFINE)
    for turned in (AFFINE[:, [1, 0, 2, 3]], AFFINE * [1, 1, -1, 1], np.eye(4)):
        with pytest.raises(InputError, match="should run as the source's"):
            check_parallel(turned, AFFINE)
    for wrong in (np.eye(3), AFFINE * np.nan, AFFINE.T):
        with pytest.raises(InputError, match=r"should be \(4, 4\)"):
            check_parallel(wrong, AFFINE)
