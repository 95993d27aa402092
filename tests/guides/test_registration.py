"""A guide that was shifted is found shifted, by how much and where to; one that lies well is not."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from veriscale.guides.registration import REACH, registration
from veriscale.imaging.nifti.read import read_volume

DATA = Path(os.environ.get("VERISCALE_DATA", Path(__file__).parents[3] / "shared/data")) / "mri/multicontrast"
SHAPE = (36, 40, 30)


def tissues(seed: int) -> np.ndarray:
    """Four tissues in lumps, and nothing around."""
    fields = [gaussian_filter(np.random.default_rng([seed, k]).normal(size=SHAPE), 3) for k in range(4)]
    found = 1 + np.argmax(fields, axis=0)
    body = np.zeros(SHAPE, np.bool_)
    body[4:-4, 4:-4, 4:-4] = True
    return np.where(body, found, 0)


def contrast(labels: np.ndarray, seed: int) -> np.ndarray:
    """Of each tissue another grey, as another sequence would see it, with noise."""
    rng = np.random.default_rng(seed)
    greys = np.concatenate([[0], rng.permutation(4) / 4 + 0.25])
    return (greys[labels] + 0.03 * rng.normal(size=labels.shape)).astype(np.float32)


shifts = st.tuples(*[st.integers(-REACH, REACH)] * 3)


@given(st.integers(0, 100), shifts)
@settings(max_examples=20)
def test_the_shift_is_found_whatever_the_contrast(seed, shift):
    labels = tissues(seed)
    measured = gaussian_filter(contrast(labels, seed), (1.5, 1.5, 0))
    guide = contrast(np.roll(labels, shift, (0, 1, 2)), seed + 1000)
    found = registration(measured, guide, (1.5, 1.5, 0.5))
    assert np.abs(np.add(found.shift, shift)).max() <= 1
    assert found.off == (max(map(abs, found.shift)) >= 2)
    assert found.gain >= 1


def test_what_lies_well_is_let_be_also_where_it_is_known_in_part():
    for seed in range(8):
        labels = tissues(seed)
        guide = contrast(labels, seed + 1000)
        guide[: 5 + 2 * (seed % 4)] = np.nan
        found = registration(contrast(labels, seed), guide, (1.0, 1.0, 0.5))
        assert not found.off
        moved = np.roll(guide, 4, 1)
        assert np.abs(np.add(registration(contrast(labels, seed), moved, (1.0, 1.0, 0.5)).shift, (0, 4, 0))).max() <= 1


def test_a_measurement_that_ends_before_the_result_does_is_taken_as_far_as_it_goes():
    labels = tissues(1)
    measured = contrast(labels, 0)
    measured[-3:] = np.nan
    assert not registration(measured, contrast(labels, 1), (1.0, 1.0, 0.5)).off
    assert registration(measured, contrast(np.roll(labels, 3, 0), 1), (1.0, 1.0, 0.5)).shift == (-3, 0, 0)


def test_another_body_is_not_called_shifted_by_chance():
    """A negative control: no shift of it fits much better than another."""
    said = [
        registration(contrast(tissues(seed), 1), contrast(tissues(seed + 50), 2), (1.0, 1.0, 0.5)).gain
        for seed in range(6)
    ]
    assert np.median(said) < 1.1


def test_along_a_short_axis_nothing_is_searched():
    labels = tissues(0)[..., 10:18]
    moved = np.roll(labels, (3, 0, 2), (0, 1, 2))
    found = registration(contrast(labels, 0), contrast(moved, 1), (1.0, 1.0, 0.5))
    assert found.shift[2] == 0


def test_a_guide_that_is_known_nowhere_is_let_be():
    nowhere = np.full(SHAPE, np.nan, np.float32)
    assert registration(contrast(tissues(0), 0), nowhere, (1.0, 1.0, 1.0)).shift == (0, 0, 0)


@pytest.mark.skipif(not DATA.is_dir(), reason="no scans under VERISCALE_DATA")
@pytest.mark.parametrize("name", ["T1", "FLAIR"])
def test_of_a_real_scan(name):
    """Measured four times coarser, of a training subject."""
    x, guide = (read_volume(DATA / f"ms07/ms07_{each}.nii.gz").samples[..., 50:80] for each in ("T2", name))
    measured = gaussian_filter(x, (2, 2, 0))
    assert not registration(measured, guide, (2, 2, 0.5)).off
    found = registration(measured, np.roll(guide, (-3, 4), (0, 1)), (2, 2, 0.5))
    assert found.off
    assert np.abs(np.subtract(found.shift, (3, -4, 0))).max() <= 1
