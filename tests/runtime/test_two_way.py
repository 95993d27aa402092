"""Volumes by a denoiser of pictures, along both directions across the slices."""

import pytest
import torch

from veriscale.runtime import two_way
from veriscale.runtime.two_way import TwoWayDenoiser


class Placeless:
    """A denoiser of pictures that holds nothing of any place."""

    def __init__(self, function):
        self.function = function

    def __call__(self, x, sigma):
        return self.function(x, sigma)

    def rearranged(self, how):
        return self


class Placed(Placeless):
    """One that answers with what it holds of each place."""

    def __call__(self, x, sigma):
        return self.function.expand(x.shape)

    def rearranged(self, how):
        return Placed(how(self.function))


def unit(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("pixels", [1, 50, 1 << 20])
def test_it_is_the_mean_of_both_directions_however_many_at_once(axis, pixels, monkeypatch):
    monkeypatch.setattr(two_way, "PIXELS", pixels)
    x = unit(2, 3, 5, 7, 4)

    def denoise(pictures, sigma):  # mixes rows and columns, each in its own way
        return pictures.roll(1, -1) - sigma * pictures.roll(1, -2)

    expected = torch.zeros_like(x)
    for across in {0, 1, 2} - {axis}:
        rows, columns = (2 + k for k in range(3) if k != across)
        expected += (x.roll(1, columns) - 0.3 * x.roll(1, rows)) / 2
    torch.testing.assert_close(TwoWayDenoiser(Placeless(denoise), axis)(x, 0.3), expected)


def test_each_picture_holds_the_thick_axis():
    seen = []

    def denoise(pictures, sigma):
        seen.append(tuple(pictures.shape[-2:]))
        return pictures

    x = unit(1, 1, 5, 7, 4)
    assert torch.equal(TwoWayDenoiser(Placeless(denoise), 2)(x, 0.1), x)
    assert set(seen) == {(7, 4), (5, 4)}
    seen.clear()
    TwoWayDenoiser(Placeless(denoise), 0)(x, 0.1)
    assert set(seen) == {(5, 4), (5, 7)}


def test_a_smoother_across_all_axes_leaves_less_noise_than_one_direction():
    def denoise(pictures, sigma):
        kernel = torch.full((1, 1, 3, 3), 1 / 9)
        flat = pictures.flatten(0, 1)[:, None]
        return torch.nn.functional.conv2d(torch.nn.functional.pad(flat, (1, 1, 1, 1), "reflect"), kernel).view(
            pictures.shape
        )

    x = unit(1, 1, 12, 12, 12)
    both = TwoWayDenoiser(Placeless(denoise), 2)(x, 1.0)
    alone = denoise(x[0].movedim(2, 0), 1.0)
    assert both.std() < alone.std()


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("pixels", [1, 50, 1 << 20])
def test_what_belongs_to_places_is_cut_as_the_pictures_are(axis, pixels, monkeypatch):
    """Along both directions, however many at once, for every item of the batch, and flipped with the volume."""
    monkeypatch.setattr(two_way, "PIXELS", pixels)
    held, x = unit(1, 1, 5, 7, 4), unit(2, 1, 5, 7, 4)
    denoiser = TwoWayDenoiser(Placed(held), axis)
    assert torch.equal(denoiser(x, 0.1), held.expand(x.shape))
    for axes in ((-1,), (-2, -1), (-3,)):
        flipped = denoiser.rearranged(lambda t, axes=axes: t.flip(axes))
        assert torch.equal(flipped(x, 0.1), held.flip(axes).expand(x.shape))
