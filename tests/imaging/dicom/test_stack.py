"""The grid of a stack is that of its positions, in whatever order they come."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from veriscale.errors import InputError
from veriscale.imaging.dicom.stack import LPS_TO_RAS, stacked


def stack(seed: int, n: int, step: float, digits: int = 9) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Orientations (n, 6), positions (n, 3) along the normal, and the rotation: columns, rows, normal."""
    rng = np.random.default_rng(seed)
    axes = Rotation.random(random_state=seed).as_matrix()
    positions = rng.normal(0, 100, 3) + step * np.arange(n)[:, None] * axes[:, 2]
    orientation = np.concatenate([axes[:, 0], axes[:, 1]])
    return np.tile(orientation, (n, 1)).round(digits), positions.round(digits), axes


@given(st.integers(0, 9999), st.integers(2, 12), st.floats(0.3, 12))
def test_any_order_any_orientation(seed, n, step):
    orientations, positions, axes = stack(seed, n, step)
    order = np.random.default_rng(seed).permutation(n)
    found = stacked(orientations[order], positions[order], (0.7, 0.9))
    np.testing.assert_array_equal(order[list(found.order)], np.arange(n))
    lps = np.eye(4)
    lps[:3] = np.stack([0.7 * axes[:, 1], 0.9 * axes[:, 0], step * axes[:, 2], positions[0]], axis=1)
    np.testing.assert_allclose(found.affine, LPS_TO_RAS @ lps, atol=1e-6)
    assert found.step == pytest.approx(step, abs=1e-6)


@given(st.integers(0, 9999))
def test_rounded_headers_are_no_tilt(seed):
    orientations, positions, _ = stack(seed, 40, 3.0, digits=4)
    found = stacked(orientations, positions, (0.9, 0.9))
    places = (found.affine @ np.vstack([np.zeros((2, 40)), np.arange(40), np.ones(40)]))[:3] * [[-1], [-1], [1]]
    assert np.abs(places.T - positions).max() < 1e-3
    as_written = np.stack([orientations[0, 3:], orientations[0, :3]], axis=1) * [[-0.9], [-0.9], [0.9]]
    np.testing.assert_allclose(found.affine[:3, :2], as_written, atol=1e-15)


@given(st.integers(0, 9999), st.integers(3, 12), st.floats(0.3, 12), st.integers(0, 2))
def test_a_slice_off_its_place_is_seen(seed, n, step, kind):
    orientations, positions, axes = stack(seed, n, step)
    which = 1 + seed % (n - 2)
    moved = positions.copy()
    moved[which] += axes[:, kind] * (0.2 * step if kind == 2 else 0.2)
    with pytest.raises(InputError, match="unevenly spaced" if kind == 2 else "shifted against"):
        stacked(orientations, moved, (0.7, 0.9))


def test_a_single_slice_has_a_normal_and_no_step():
    orientations, positions, axes = stack(3, 1, 1.0)
    found = stacked(orientations, positions, (0.7, 0.9))
    assert np.isnan(found.step)
    np.testing.assert_allclose(found.affine[:3, 2] * [-1, -1, 1], axes[:, 2], atol=1e-8)
