"""The box that is shown: where it lies, what it leaves out, and what its edges are called."""

import dataclasses

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from tests.report.volumes import ras_affine, scan_of

from veriscale.errors import InputError
from veriscale.imaging.geometry import Grid
from veriscale.report.volume_frame import MARGIN, foreground, frame_of


def turned(degrees, axis):
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler(axis, degrees, degrees=True).as_matrix()
    return affine @ ras_affine((1, 1, 1))


def test_the_box_is_what_is_not_background(tmp_path):
    volume = scan_of(tmp_path, (10, 0, 30), spacing=(1, 1.5, 2))
    frame = frame_of(volume.grid, [volume])
    body = np.array([[10, 86], [10.5, 109.5], [10, 70]])  # 10 mm of whole voxels on every side
    np.testing.assert_allclose(frame.size, body[:, 1] - body[:, 0] + 2 * MARGIN)
    corner = volume.affine[:3, 3] - np.array([1, 1.5, 2]) / 2
    np.testing.assert_allclose(frame.origin, corner + body[:, 0] - MARGIN, atol=1e-5)


@pytest.mark.parametrize("background", [0.0, -0.4, 0.7])
def test_any_value_may_be_the_background(background):
    samples = np.full((9, 8, 7), background, np.float32)
    samples[3:5, 2:7, 4] += 0.1
    first, end = foreground(samples)
    assert (first.tolist(), end.tolist()) == ([3, 2, 4], [5, 7, 5])
    samples[3:5, 2:7, 4] = background + 0.01
    assert foreground(samples) is None


def test_where_all_is_background_all_is_shown(tmp_path):
    volume = scan_of(tmp_path, (10, 0, 30))
    flat = dataclasses.replace(volume, samples=np.zeros_like(volume.samples))
    frame = frame_of(volume.grid, [flat])
    np.testing.assert_allclose(frame.size, frame.field)


@pytest.mark.parametrize(
    "degrees, axis, letters",
    [
        (0, "x", [("L", "R"), ("P", "A"), ("I", "S")]),
        (5, "x", [("L", "R"), ("P", "A"), ("I", "S")]),
        (20, "x", [("L", "R"), ("PI", "AS"), ("IA", "SP")]),
        (-20, "z", [("LA", "RP"), ("PL", "AR"), ("I", "S")]),
    ],
)
def test_edges_are_called_by_what_they_are_nearest_to(degrees, axis, letters):
    frame = frame_of(Grid(turned(degrees, axis), (4, 5, 6)), [])
    assert frame.letters() == letters
    assert frame.tilt == pytest.approx(abs(degrees), abs=1e-3)


def test_other_axes_are_refused(tmp_path):
    volume = scan_of(tmp_path, (10, 0, 30))
    other = dataclasses.replace(volume, affine=turned(3, "y"))
    with pytest.raises(InputError, match="parallel"):
        frame_of(volume.grid, [volume, other])
