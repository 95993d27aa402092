"""Volumes in 8 bits: what is kept, and what goes first where it is too much."""

import base64
import dataclasses
import zlib

import numpy as np
import pytest
from tests.report.volumes import scan_of, thick

from veriscale.report.packed_volume import Crop, Scale, crop_of, levels, pack
from veriscale.report.volume_frame import frame_of


def noisy(shape, step=(1.0, 1.0, 1.0), seed=0):
    samples = np.random.default_rng(seed).random(shape, np.float32)
    return Crop(samples, np.zeros(3), np.array(step), Scale(0, 1))


def unpacked(volume):
    return np.frombuffer(zlib.decompress(base64.b64decode(volume.data)), np.uint8).reshape(volume.shape)


def test_values_are_kept_to_half_a_step():
    crop = noisy((5, 6, 7))
    (packed,), packing = pack([crop])
    assert (packing.steps, packing.every) == (255, (1, 1, 1))
    assert np.abs(unpacked(packed) / 255 - crop.samples).max() <= 0.5 / 255 + 1e-6


def test_what_lies_beyond_the_scale_is_at_its_ends():
    samples = np.array([[[-3, -1, 0, 1, 2, 9]]], np.float32)
    got = levels(Crop(samples, np.zeros(3), np.ones(3), Scale(-1, 2)), 255)
    np.testing.assert_array_equal(got, [[[0, 0, 85, 170, 255, 255]]])


def test_a_crop_holds_every_voxel_that_reaches_into_the_box(tmp_path):
    fine = scan_of(tmp_path, (10, 0, 30), spacing=(1, 1.5, 2))
    coarse = thick(fine)
    frame = frame_of(fine.grid, [fine])
    for volume in (fine, coarse):
        crop = crop_of(volume, frame, Scale(0, 1))
        end = crop.edge + crop.step * crop.samples.shape
        assert (crop.edge <= 1e-6).all()
        assert (crop.edge > -crop.step).all()
        assert (end >= frame.size - 1e-6).all()
        assert (end < frame.size + crop.step).all()


def test_steps_of_value_go_before_voxels_do():
    crops = [noisy((24, 24, 24), seed=0), noisy((24, 24, 6), (1, 1, 4), seed=1)]
    whole = sum(len(base64.b64decode(p.data)) for p in pack(crops)[0])
    assert pack(crops, int(0.9 * whole))[1].steps < 255
    packed, packing = pack(crops, int(0.9 * whole))
    assert packing.every == (1, 1, 1)
    assert unpacked(packed[0]).max() == packing.steps
    fewer, thinned = pack(crops, whole // 4)
    assert (thinned.steps, thinned.every) == (255, (2, 2, 2))
    assert [p.shape for p in fewer] == [(12, 12, 12), (12, 12, 6)]  # thick slices stay where they are thick


def test_a_voxel_that_is_kept_stays_where_it_is():
    crop = noisy((24, 25, 8), (0.5, 0.5, 2.0))
    for budget in (3000, 1000):
        (packed,), packing = pack([crop], budget)
        assert packing.every[2] == 1  # the finest axes first
        n = packing.every[0]
        assert n > 1
        kept = unpacked(packed)
        centres = packed.edge[0] + (np.arange(kept.shape[0]) + 0.5) * packed.step[0]
        indices = np.rint(centres / 0.5 - 0.5)
        np.testing.assert_allclose(centres, (indices + 0.5) * 0.5)
        expected = levels(crop, 255)[indices.astype(int)][:, (n - 1) // 2 :: n]
        np.testing.assert_array_equal(kept, expected)


@pytest.mark.parametrize("budget", [0, 1])
def test_there_is_always_something_left(budget):
    (packed,), _ = pack([noisy((3, 4, 5))], budget)
    assert np.prod(packed.shape) == 1


def test_of_too_many_voxels_some_are_left_out(monkeypatch):
    monkeypatch.setattr("veriscale.report.packed_volume.LARGEST", 1000)
    crop = dataclasses.replace(noisy((20, 20, 20)), samples=np.zeros((20, 20, 20), np.float32))
    (packed,), packing = pack([crop])
    assert packing.every == (2, 2, 2)
    assert packed.shape == (10, 10, 10)
