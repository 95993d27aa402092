"""Inpainting, compressed sensing and Fourier measurements."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy import fft

from veriscale.errors import InputError
from veriscale.physics.fourier import Fourier
from veriscale.physics.inpaint import Inpaint
from veriscale.physics.masked import random_subset
from veriscale.physics.registry import parse_operator
from veriscale.physics.sensing import Sensing


def image(path, array):
    Image.fromarray(array).save(path)
    return str(path)


@given(st.floats(1e-6, 1), st.integers(1, 30), st.integers(1, 30), st.integers(0, 2**63 - 1))
def test_exactly_the_share_is_kept(keep, height, width, seed):
    count = max(1, round(keep * height * width))
    assert Inpaint(keep=keep, seed=seed).support((3, height, width)).sum() == count
    assert Sensing(keep, seed).support((3, height, width)).sum() == count


def test_the_same_seed_keeps_the_same_pixels_for_ever():
    # pinned: a sidecar written today must mean the same mask in any later version
    assert np.flatnonzero(random_subset(20, 6, 0)).tolist() == [0, 1, 2, 9, 11, 17]
    assert (random_subset(20, 6, 0) == random_subset(20, 6, 0)).all()
    assert (random_subset(400, 200, 0) != random_subset(400, 200, 1)).any()
    assert (random_subset(400, 200, 0) != random_subset(400, 200, 0, 1)).any()


def test_kept_pixels_are_spread_evenly():
    mask = random_subset(200 * 200, 20_000, 5).reshape(200, 200)
    blocks = mask.reshape(10, 20, 10, 20).sum((1, 3))
    assert abs(blocks.var() / (400 * 0.25) - 1) < 0.5


def test_channels_and_slices_share_the_mask():
    a = Inpaint(keep=0.5)
    y = a.forward(torch.ones(1, 3, 6, 7))
    assert (y == y[:, :1]).all()
    volume = a.forward(torch.ones(1, 1, 4, 6, 7))
    assert (volume == y[:, :1, None]).all()
    assert a.support((1, 4, 6, 7)).shape == (1, 1, 6, 7)


def test_box_is_a_centred_hole():
    y = Inpaint(box=2).forward(torch.ones(1, 1, 4, 5))[0, 0]
    assert y.tolist() == [[1] * 5, [1, 0, 0, 1, 1], [1, 0, 0, 1, 1], [1] * 5]


@pytest.mark.parametrize("scale", [1, 255, 40])
def test_mask_file(tmp_path, scale):
    mask = np.random.default_rng(0).random((5, 7)) < 0.5
    path = image(tmp_path / "m.png", (mask * scale).astype(np.uint8))
    a = Inpaint(mask=path)
    assert (a.support((3, 5, 7))[0].numpy() == mask).all()
    with pytest.raises(InputError, match=r"m\.png of 7×5 does not fit a picture of 5×7"):
        a.measurement_shape((3, 7, 5))
    with pytest.raises(InputError, match=r"m\.png of 7×5 does not fit a picture of 5×7"):
        a.truth_shape((3, 7, 5))


def test_masks_of_other_kinds(tmp_path):
    np.save(tmp_path / "m.npy", np.eye(4, dtype=np.float32))
    assert Inpaint(mask=str(tmp_path / "m.npy")).support((1, 4, 4)).sum() == 4
    colour = np.zeros((4, 4, 3), np.uint8)
    colour[1, 2, 1] = 200  # any channel
    assert Inpaint(mask=image(tmp_path / "c.png", colour)).support((1, 4, 4)).nonzero().tolist() == [[0, 1, 2]]


def test_masks_that_are_none(tmp_path):
    with pytest.raises(InputError, match="zero everywhere"):
        Inpaint(mask=image(tmp_path / "z.png", np.zeros((4, 4), np.uint8)))
    with pytest.raises(InputError, match="does not exist"):
        Inpaint(mask=str(tmp_path / "none.png"))


@pytest.mark.parametrize(
    "text, message",
    [
        ("inpaint", "exactly one of keep, mask and box"),
        ("inpaint:keep=0.5,box=3", "exactly one of keep, mask and box"),
        ("inpaint:box=3,seed=1", "seed goes with keep"),
        ("inpaint:keep=0", "keep is above 0 and at most 1"),
        ("inpaint:keep=1.1", "keep is above 0 and at most 1"),
        ("inpaint:keep=half", "keep=half is not a number"),
        ("inpaint:keep=0.5,seed=-1", "seed is an integer from 0"),
        ("inpaint:keep=0.5,seed=0.5", "seed=0.5 is not a whole number"),
        ("inpaint:box=0", "box is at least 1"),
        ("inpaint:holes=3", "unknown key 'holes'"),
        ("sensing", "needs ratio="),
        ("sensing:ratio=2", "ratio is above 0 and at most 1"),
        ("fourier:accel=0.5", "accel is at least 1 and at most 64"),
        ("fourier:accel=4,centre=0.3", "more than the 1/4"),
        ("fourier:accel=4,center=0.1", "did you mean 'centre'"),
    ],
)
def test_strings_that_mean_no_mask(text, message):
    with pytest.raises(InputError, match=message):
        parse_operator(text)


@pytest.mark.parametrize("shape", [(3, 5, 9), (3, 9, 5), (1, 6, 6)])
def test_a_hole_that_is_too_large(shape):
    with pytest.raises(InputError, match=f"hole of 6×6 does not fit into a picture of {shape[2]}×{shape[1]}"):
        Inpaint(box=6).measurement_shape(shape)


def test_beside(tmp_path):
    path = image(tmp_path / "m.png", np.ones((4, 4), np.uint8))
    (tmp_path / "a" / "b").mkdir(parents=True)
    moved = Inpaint(mask=path).beside(tmp_path / "a" / "b")
    assert str(moved) == "inpaint:mask=../../m.png"
    again = parse_operator(str(moved), tmp_path / "a" / "b")
    assert (again.support((1, 4, 4)) == 1).all()


def test_sensing_is_a_cosine_transform_of_signed_pixels():
    a, x = Sensing(1.0, 3), torch.rand(1, 1, 5, 8, dtype=torch.float64)
    z = a.forward(x)
    signed = fft.idctn(z[0, 0].numpy(), norm="ortho")
    np.testing.assert_allclose(np.abs(signed), x[0, 0], atol=1e-12)
    assert (signed < 0).any()
    assert not a.picture
    assert not a.local


@given(st.integers(2, 80), st.floats(1, 16), st.floats(0, 1), st.integers(0, 99))
def test_fourier_columns(width, accel, share, seed):
    a = Fourier(accel, share / accel, seed)
    columns = a.columns(width)
    assert columns.sum() == max(1, round(width / accel))
    inner = min(round(a.centre * width), int(columns.sum()))
    frequency = np.abs(np.fft.fftfreq(width, 1 / width))
    # all frequencies of the centre: at most one of a pair that shares its edge is left out
    assert (columns[frequency < inner / 2 - 0.5]).all()


def test_fourier_is_the_unitary_transform():
    a, x = Fourier(1.0, 1.0), torch.rand(1, 2, 6, 5, dtype=torch.float64)
    y = a.forward(x)
    expected = np.fft.fft2(x.numpy(), norm="ortho")
    np.testing.assert_allclose(y.numpy(), np.concatenate([expected.real, expected.imag], -1), atol=1e-12)
    torch.testing.assert_close(a.adjoint(y), x)
    assert a.norm((2, 6, 5)) == 1
    with pytest.raises(InputError, match="11 columns are odd"):
        a.truth_shape((2, 6, 11))
