"""Patches of slices are measured as the whole slice is, at its border too, and the unrounded measurement is kept."""

import numpy as np
import pytest
import torch

from veriscale.diffusion.card import Data
from veriscale.errors import InputError
from veriscale.imaging.normalisation import SCAN
from veriscale.physics.downsample import downsample_interior
from veriscale.physics.registry import parse_operator
from veriscale.stages.batches import Batches, quantise
from veriscale.stages.border import continued
from veriscale.stages.data import PictureSet
from veriscale.stages.recipe import Task


def scans(*shapes: tuple[int, int]) -> PictureSet:
    g = torch.Generator().manual_seed(0)
    images = [torch.randint(0, 256, (1, *s), generator=g, dtype=torch.uint8) for s in shapes]
    names = [f"s{k}" for k in range(len(shapes))]
    return PictureSet(images, names, Data("*", 1, "0" * 64, "CC0"), names, names, SCAN)


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("at", ["corner", "middle", "end"])
def test_a_continued_patch_is_measured_as_the_whole(scale, at):
    """Of a slice cropped to a multiple of the scale, as the operator crops it."""
    x = scans((45, 59)).images[0].double() / 255
    height, width = (n // scale * scale for n in x.shape[-2:])
    whole = parse_operator(f"downsample:factor={scale}").forward(x[None, :, :height, :width])[0]
    side, context = 4 * scale, 9 * scale
    top, left = {
        "corner": (0, 0),
        "middle": (4 * scale, 5 * scale),
        "end": (height - side, width - side),
    }[at]
    y = downsample_interior(continued(x, top, left, side, context, scale).float()[None], scale)[0]
    inside = whole[:, top // scale :, left // scale :][:, :4, :4]
    assert torch.allclose(y[:, 7:-7, 7:-7].double(), inside, atol=2e-6)
    # Beyond the edge the measurement goes on as the truth does: mirrored, edge pixels twice.
    if at == "corner":
        assert torch.allclose(y[:, :7, :7], y[:, 7:14, 7:14].flip(-1, -2), atol=2e-6)
    zeros = torch.nn.functional.pad(x, [context] * 4)[..., top:, left:][..., : side + 2 * context, : side + 2 * context]
    other = downsample_interior(zeros.float()[None], scale)[0][:, 7:-7, 7:-7].double()
    assert torch.allclose(other, inside, atol=2e-6) == (at == "middle")  # and no other rule would do


def test_a_slice_much_smaller_than_its_context_is_continued_again_and_again():
    x = torch.arange(16.0).view(1, 4, 4)
    wide = continued(x, 0, 0, 4, 14, 2)
    assert wide.shape == (1, 32, 32)
    assert torch.equal(wide[:, 14:18, 14:18], x)
    assert torch.equal(wide[:, 22:26, 14:18], x)  # one period further


def test_patches_that_lie_off_the_grid_see_the_slice_from_their_own_grid_on():
    x = torch.rand(1, 21, 21, generator=torch.Generator().manual_seed(0))
    y = downsample_interior(continued(x, 5, 6, 8, 16, 4)[None], 4)[0]
    whole = parse_operator("downsample:factor=4").forward(x[None, :, 1:, 2:18])[0]
    assert torch.allclose(y[:, 2:-2, 2:-2], whole[:, 1:3, 1:3], atol=2e-6)


TASK = Task(operators=["downsample:factor=4"], channels=1, noise=(0.05, 0.05))


def test_measurements_of_scans_are_neither_rounded_nor_clipped():
    batch = Batches(scans((48, 40)), TASK, 0).make("encoder", 0, range(8), 10, 8)
    assert batch.x.shape == (8, 1, 40, 40)
    assert batch.y.shape == (8, 1, 26, 26)
    assert not torch.allclose(batch.y, quantise(batch.y))
    clean = batch.noise_std == 0
    crops = [downsample_interior(f(batch.x[k]), 4) for k in clean.nonzero()[:, 0] for f in (lambda t: t[None],)]
    inner = torch.cat(crops)[..., 2:-2, 2:-2]
    assert torch.allclose(batch.y[clean][..., 12:-12, 12:-12], inner, atol=1e-6)
    dark = scans((48, 40))
    dark.images[0][:] = 0
    assert Batches(dark, TASK, 0).make("encoder", 0, range(8), 10, 8).y.min() < -0.05


def test_a_patch_needs_to_fit_and_what_is_around_it_need_not():
    batches = Batches(scans((40, 40)), TASK, 0)
    assert batches.make("toy.encoder", 0, range(2), 10, 8).x.shape[-1] == 40
    words = r"Slice s0 is 40×40, and a patch of toy\.encoder is 44×44 .* set a smaller stage\.toy\.encoder\.patch"
    with pytest.raises(InputError, match=words):
        batches.make("toy.encoder", 0, range(2), 11, 8)


def test_slices_are_drawn_evenly_by_subject_then_volume_then_slice():
    """One subject has 8 volumes of 30 slices, one 2 volumes of 3 and 12, one a single slice, four times as large."""
    shapes, subjects, volumes = [], [], []
    for subject, sizes in {"a": [30] * 8, "b": [3, 12], "c": [1]}.items():
        for v, n in enumerate(sizes):
            shapes += [(80 if subject == "c" else 40,) * 2] * n
            subjects += [subject] * n
            volumes += [f"{subject}{v}"] * n
    data = scans(*shapes)
    data = PictureSet(data.images, data.names, data.facts, subjects, volumes, SCAN)
    batches = Batches(data, TASK, 0)
    share = torch.diff(batches.chance, prepend=torch.zeros(1, dtype=torch.float64)).numpy()
    for group, each in (("a", 1 / 3), ("b", 1 / 3), ("c", 1 / 3), ("a5", 1 / 24), ("b0", 1 / 6), ("b1", 1 / 6)):
        inside = [s == group or v == group for s, v in zip(subjects, volumes, strict=True)]
        assert share[np.array(inside)].sum() == pytest.approx(each)
    assert share[-2] == pytest.approx(1 / 6 / 12)
    # And so they are drawn: the one white slice of `c` in a third of the items.
    for image in data.images:
        image.fill_(0)
    data.images[-1].fill_(255)
    white = batches.make("encoder", 0, range(600), 1).x.amax((1, 2, 3)) == 1
    assert float(white.float().mean()) == pytest.approx(1 / 3, abs=0.06)
