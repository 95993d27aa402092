from dataclasses import replace

import numpy as np
import pytest
import torch

from veriscale.diffusion.card import Data
from veriscale.imaging.normalisation import PHOTOGRAPH, SCAN
from veriscale.imaging.resize import resize
from veriscale.stages.batches import Batches, key, quantise
from veriscale.stages.data import PictureSet
from veriscale.stages.recipe import Task

TASK = Task(operators=["downsample:factor=2", "downsample:factor=3"], weights=[1, 3], unconditional=0.3)


def pictures(count: int = 3, side: slice = slice(None)) -> PictureSet:
    g = torch.Generator().manual_seed(0)
    images = [torch.randint(0, 256, (3, 90, 120), generator=g, dtype=torch.uint8)[:, side, side] for _ in range(count)]
    return PictureSet(images, list("abc")[:count], Data("*", count, "0" * 64, "CC0"))


@pytest.mark.parametrize("normalisation", [PHOTOGRAPH, SCAN])
def test_two_processes_see_what_one_sees(normalisation):
    found = replace(pictures(), normalisation=normalisation, subjects=["one", "one", "two"], volumes=list("abc"))
    batches = Batches(found, TASK, seed=0)
    whole = batches.make("encoder", 7, range(4), 8, 2)
    halves = [batches.make("encoder", 7, r, 8, 2) for r in (range(2), range(2, 4))]
    for k, value in enumerate(whole):
        if isinstance(value, torch.Tensor):
            assert torch.equal(value, torch.cat([h[k] for h in halves]))


def test_steps_phases_and_seeds_differ():
    batches = Batches(pictures(), TASK, seed=0)
    first = batches.make("encoder", 0, range(2), 8).noise.flatten()[:9]
    for other in (
        batches.make("encoder", 1, range(2), 8),
        batches.make("denoiser", 0, range(2), 8),
        Batches(pictures(), TASK, seed=1).make("encoder", 0, range(2), 8),
    ):
        assert not torch.equal(first, other.noise.flatten()[:9])


def test_a_patch_is_measured_as_the_whole_picture_would_be():
    # One picture of exactly a patch's size with its surroundings: its inside must be the whole picture's.
    data = pictures(1, slice(60))
    image = data.images[0]
    task = Task(operators=["downsample:factor=3"], noise=(0.0, 0.0))
    batch = Batches(data, task, seed=5).make("encoder", 0, range(1), patch=12, margin=2)
    whole = image.permute(1, 2, 0).numpy().astype(np.float32) / 255
    turned = [f(whole) for f in (lambda a: a, lambda a: a[:, ::-1], lambda a: a[::-1], lambda a: a[::-1, ::-1])]
    turned += [np.swapaxes(a, 0, 1) for a in turned]
    expected = [quantise(torch.from_numpy(resize(np.ascontiguousarray(a), 20, 20)))[2:-2, 2:-2] for a in turned]
    y = batch.y[0].permute(1, 2, 0)
    assert min(float((y - e).abs().max()) for e in expected) <= 1e-6
    assert batch.x.shape == (1, 3, 36, 36)


def test_shares_are_as_the_task_says():
    batches = Batches(pictures(), TASK, seed=0)
    scales = [batches.scale("encoder", s) for s in range(800)]
    assert abs(scales.count(3) / 800 - 0.75) < 0.06
    batch = batches.make("encoder", 0, range(400), 2)
    assert abs(float(batch.unconditional.float().mean()) - 0.3) < 0.09
    assert abs(float((batch.noise_std == 0).float().mean()) - 0.5) < 0.09
    assert 0.045 < float(batch.noise_std.max()) <= 0.05
    assert abs(float(batch.noise.std()) - 1) < 0.02


def test_photographs_are_drawn_by_their_area_with_all_that_is_around_a_patch():
    """By the rule that runs in training were made by: their items must not change."""
    data = pictures()
    data.images[1] = data.images[1][:, :70, :60]
    batch = Batches(data, TASK, seed=2).make("encoder", 3, range(40), 4, 1)
    areas = torch.tensor([90 * 120, 70 * 60, 90 * 120], dtype=torch.float64)
    side, cut = (4 + 2 + 4) * batch.scale, 3 * batch.scale
    for i, x in enumerate(batch.x):
        u = torch.rand(9, dtype=torch.float64, generator=torch.Generator().manual_seed(key(2, "encoder", 3, i)))
        image = data.images[int((areas.cumsum(0) / areas.sum() < u[0]).sum())]
        top, left = (int(v * (n - side + 1)) for v, n in zip(u[1:3], image.shape[-2:], strict=True))
        crop = image[:, top + cut : top + side - cut, left + cut : left + side - cut]
        crop = crop.flip(-1) if u[3] < 0.5 else crop
        crop = crop.flip(-2) if u[4] < 0.5 else crop
        assert torch.equal(x, (crop.transpose(-1, -2) if u[5] < 0.5 else crop).float() / 255)
