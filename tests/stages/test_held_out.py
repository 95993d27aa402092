"""Which slices stand for held-out scans, and how they are cropped."""

import pytest
import torch

from veriscale.diffusion.card import Data
from veriscale.errors import InputError
from veriscale.imaging.normalisation import SCAN
from veriscale.physics.registry import parse_operator
from veriscale.stages.data import PictureSet
from veriscale.stages.held_out import MARGIN, crops, held_out
from veriscale.stages.held_out_slices import MOST, held_out_slices


def scans(groups: dict[str, dict[str, int]], shape: tuple[int, int] = (44, 50)) -> PictureSet:
    g = torch.Generator().manual_seed(0)
    images, names, subjects, volumes = [], [], [], []
    for subject, sizes in groups.items():
        for volume, n in sizes.items():
            for k in range(n):
                images.append(torch.randint(0, 256, (1, *shape), generator=g, dtype=torch.uint8))
                names.append(f"{volume}#{k}")
                subjects.append(subject)
                volumes.append(volume)
    return PictureSet(images, names, Data("set", 1, "0" * 64, "CC0"), subjects, volumes, SCAN)


def test_slices_are_spread_over_subjects_volumes_and_depth():
    chosen = held_out_slices(scans({"a": {f"a{k}": 100 for k in range(4)}, "b": {"b0": 50}, "c": {"c0": 3}}), 4)
    counts = {v: chosen.volumes.count(v) for v in dict.fromkeys(chosen.volumes)}
    assert counts == {"a0": 3, "a1": 3, "a2": 3, "a3": 2, "b0": 10, "c0": 3}
    assert len(chosen.images) == MOST
    assert [n for n in chosen.names if n.startswith("b0")] == [f"b0#{k}" for k in range(2, 50, 5)]
    assert [n for n in chosen.names if n.startswith("a3")] == ["a3#25", "a3#75"]


def test_few_slices_are_all_taken():
    few = scans({"a": {"a0": 3}, "b": {"b0": 4}})
    assert held_out_slices(few, 4).names == few.names


def test_photographs_stay_as_they_are():
    data = PictureSet([torch.zeros(3, 8, 8, dtype=torch.uint8)] * 30, list("a" * 30), Data("*", 30, "", ""))
    assert held_out_slices(data, 8) is data


@pytest.mark.parametrize("shape, multiple, largest", [((44, 50), 4, 44), ((131, 164), 8, 128), ((400, 300), 24, 144)])
def test_crops_are_the_largest_that_fit(shape, multiple, largest):
    chosen = held_out_slices(scans({"a": {"a0": 2}}, shape), multiple)
    assert chosen.largest == largest
    assert crops(chosen, 1000).shape == (2, 1, largest, largest)
    assert crops(chosen, 32).shape[-1] == 32


def test_slices_too_small_to_be_measured_on_are_left_out():
    mixed = scans({"a": {"a0": 2}})
    mixed.images[0] = mixed.images[0][:, :31]
    assert held_out_slices(mixed, 4).names == ["a0#1"]
    with pytest.raises(InputError, match="are too small to measure a prior on, such as a0#0 of 50×31; at least 32"):
        held_out_slices(scans({"a": {"a0": 1}}, (31, 50)), 4)


def test_a_held_out_slice_is_measured_as_the_whole_slice():
    """Where its margin reaches beyond the edge too, and without rounding."""
    seen = []

    def encoder(y, scale, stds):
        seen.append(y)
        raise StopIteration

    data = held_out_slices(scans({"a": {"a0": 1}}, (44, 52)), 4)
    with pytest.raises(StopIteration):
        held_out(encoder, data, 4, 0.0)
    whole = parse_operator("downsample:factor=4").forward(data.images[0][None].float() / 255)
    inside = seen[0][..., MARGIN:-MARGIN, MARGIN:-MARGIN]
    assert inside.shape[-1] == 11
    assert torch.allclose(inside, whole[..., 1:12], atol=1e-6)


def test_crops_need_not_be_multiples_of_a_scale():
    """128 pixels at a factor of 3: what surrounds them completes the last measured one."""
    data = held_out_slices(scans({"a": {"a0": 1}}, (150, 160)), 12)

    def encoder(y, scale, stds):
        mean = y.repeat_interleave(scale, -1).repeat_interleave(scale, -2)
        return mean, mean[:, :0]

    x, condition = held_out(encoder, data, 3, 0.0, 128)
    assert x.shape == condition.mean.shape == (1, 1, 128, 128)
    assert torch.equal(x[0], data.images[0][:, 10:138, 15:143].float() / 255)
