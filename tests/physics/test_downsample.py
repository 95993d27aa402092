import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from veriscale.errors import InputError
from veriscale.imaging.resize import KERNELS, matrix, resize
from veriscale.physics import separable
from veriscale.physics.downsample import Downsample, downsample_interior

FACTORS = st.one_of(
    st.integers(1, 64).map(float), st.floats(1, 64), st.sampled_from([1.1, 2.4, 2.5, 10 / 3, 1.001, 63.9])
)


def tensor(samples: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(samples).permute(2, 0, 1)[None]


@given(FACTORS, st.integers(1, 500), st.integers(1, 500))
def test_sizes_round_trip(factor, n, m):
    a = Downsample((factor, 1))
    assert a.measurement_shape(a.truth_shape((1, m, 7))) == (1, m, 7)
    assert abs(a.truth_shape((1, m, 7))[1] - m * factor) <= 0.501
    if n >= factor:
        y = a.measurement_shape((3, n, 5))
        assert y[1] >= int(n / factor + 1e-9)
        assert a.truth_shape(y)[1] <= n


def test_whole_factors_floor_and_multiply():
    a = Downsample(3)
    assert a.measurement_shape((3, 11, 12)) == (3, 3, 4)
    assert a.truth_shape((3, 3, 4)) == (3, 9, 12)
    assert a.measurement_shape((1, 7, 11, 12)) == (1, 7, 3, 4)


@given(st.integers(7, 24), st.integers(7, 24), FACTORS.filter(lambda f: f <= 7), st.sampled_from(sorted(KERNELS)))
def test_it_is_resize(height, width, factor, kernel):
    a = Downsample(factor, kernel)
    _, height, width = a.truth_shape(a.measurement_shape((3, height, width)))
    x = np.random.default_rng(height * width).random((height, width, 3)).astype(np.float32)
    y = a.forward(tensor(x))[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(y, resize(x, *y.shape[:2], kernel), atol=1e-5)


@given(st.integers(3, 40), st.integers(1, 40), st.sampled_from(sorted(KERNELS)))
def test_taps_and_matrix_are_the_same(n_in, n_out, kernel):
    from veriscale.imaging.resize import taps

    dense = torch.from_numpy(matrix(n_in, n_out, kernel))
    x = torch.randn(2, n_in, 3, dtype=torch.float64)
    y = torch.randn(2, n_out, 3, dtype=torch.float64)
    for limit in (0, 1 << 20):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(separable, "_DENSE", limit)
            r = separable.Resampling(taps(n_in, n_out, kernel), n_in)
        torch.testing.assert_close(r.forward(x, -2), dense @ x)
        torch.testing.assert_close(r.adjoint(y, -2), dense.T @ y)
        torch.testing.assert_close(r.forward(x.mT, -1), (dense @ x).mT)


def test_box_is_the_mean_of_blocks():
    x = torch.rand(2, 3, 12, 18)
    expected = x.reshape(2, 3, 4, 3, 6, 3).mean((3, 5))
    torch.testing.assert_close(Downsample(3, "box").forward(x), expected)


def test_closed_form_and_conjugate_gradients_agree():
    a, x = Downsample((3, 2)), torch.rand(2, 3, 12, 18, dtype=torch.float64)
    y = torch.rand(2, 3, 4, 9, dtype=torch.float64)
    for rho in (1e-3, 1, 100):
        torch.testing.assert_close(a.prox(x, y, rho, torch.ones_like(y)), a.prox(x, y, rho), atol=1e-6, rtol=0)


def test_scale():
    assert Downsample(4).scale == 4
    assert Downsample(4).factor == (4.0, 4.0)
    assert Downsample(4) == Downsample((4, 4.0))
    assert Downsample(2.5).scale is None
    assert Downsample((4, 1)).scale is None


def test_a_picture_that_is_too_small():
    with pytest.raises(InputError, match="A picture of 3×9 is too small for downsample:factor=8"):
        Downsample(8).measurement_shape((3, 9, 3))


@pytest.mark.parametrize("factor", [0, 0.99, 65, float("nan"), float("inf"), (2, 0.5)])
def test_factors_out_of_range(factor):
    with pytest.raises(InputError, match="factor is at least 1 and at most 64"):
        Downsample(factor)


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_patches_are_measured_as_in_the_whole_picture(factor):
    x = torch.from_numpy(np.random.default_rng(0).random((1, 3, 20 * factor, 24 * factor)).astype(np.float32))
    whole = Downsample(factor).forward(x)
    inside = downsample_interior(x[..., 3 * factor : 15 * factor, 5 * factor : 20 * factor], factor)
    torch.testing.assert_close(inside, whole[..., 5:13, 7:18], atol=1e-5, rtol=0)
