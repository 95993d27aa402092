import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from veriscale.errors import InputError
from veriscale.imaging.resize import KERNELS, matrix, resize, taps

SIZES = st.integers(1, 60)


@given(SIZES, SIZES, st.sampled_from(sorted(KERNELS)))
def test_a_constant_stays_constant(n_in, n_out, kernel):
    np.testing.assert_allclose(matrix(n_in, n_out, kernel) @ np.ones(n_in), 1, atol=1e-12)


@given(st.integers(4, 60))
def test_same_size_is_the_identity(n):
    np.testing.assert_allclose(matrix(n, n), np.eye(n), atol=1e-12)


@given(st.integers(8, 40), st.integers(2, 4))
def test_reflection_commutes(n, factor):
    a = matrix(n * factor, n)
    np.testing.assert_allclose(a[::-1, ::-1], a, atol=1e-12)


def test_a_straight_line_keeps_its_slope_inside():
    small = matrix(160, 40) @ np.arange(160.0)
    np.testing.assert_allclose(np.diff(small)[4:-4], 4, atol=1e-9)
    np.testing.assert_allclose(small[20], 81.5, atol=1e-9)  # half-pixel centres: (20 + ½)·4 − ½


def test_downsampling_agrees_with_pillow_inside(skimage_data):
    # Pillow's bicubic has the same kernel and centres; only its edges (renormalised) differ.
    x = np.asarray(Image.open(skimage_data / "astronaut.png").convert("F"), np.float32) / 255
    ours = resize(x, 128, 128)
    theirs = np.asarray(Image.fromarray(x).resize((128, 128), Image.Resampling.BICUBIC))
    assert np.abs(ours - theirs)[4:-4, 4:-4].max() < 2e-3  # Pillow rounds its weights for float pictures too
    assert np.abs(ours - theirs).max() > 1e-6


def test_rows_and_matrix_agree():
    x = np.random.default_rng(0).random((20, 33, 3)).astype(np.float32)
    expected = np.einsum("ij,jkc,lk->ilc", matrix(20, 7), x, matrix(33, 50))
    np.testing.assert_allclose(resize(x, 7, 50), expected, atol=1e-5)


def test_indices_stay_inside():
    index, _ = taps(3, 2)
    assert index.min() >= 0
    assert index.max() <= 2


def test_an_unknown_kernel_is_named():
    with pytest.raises(InputError, match="did you mean 'bicubic'"):
        taps(4, 4, "bicubik")
