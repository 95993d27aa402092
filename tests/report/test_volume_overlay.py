"""Hatching of volumes: what is trusted, and what does not count, is left alone; lines are seen in every section."""

import numpy as np

from veriscale.report.volume_overlay import SPACING, WIDTH, hatched


def test_only_what_counts_and_is_not_trusted_is_hatched():
    samples = np.random.default_rng(0).normal(0.5, 0.5, (9, 10, 11)).astype(np.float32)
    trusted, counted = np.random.default_rng(1).random((2, *samples.shape)) < 0.5
    drawn, alone = hatched(samples, trusted, counted), counted & ~trusted
    assert np.array_equal(drawn[~alone], samples[~alone])
    assert drawn[alone].min() >= 0
    assert drawn[alone].max() <= 1
    assert (drawn[alone] != samples[alone]).all()


def test_lines_run_through_every_section():
    nothing = np.zeros((24, 24, 24), bool)
    drawn = hatched(np.zeros(nothing.shape, np.float32), nothing, ~nothing)
    for axis in range(3):
        for section in np.moveaxis(drawn, axis, 0):
            levels, counts = np.unique(section, return_counts=True)
            assert levels.size == 2
            assert counts[0] / section.size == WIDTH / SPACING
