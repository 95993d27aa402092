import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from veriscale.errors import InputError
from veriscale.physics.blur import Blur
from veriscale.physics.blur_kernel import gaussian_kernel
from veriscale.physics.registry import parse_operator

MODES = {"circular": "wrap", "reflect": "reflect"}  # scipy's names


def picture(*shape: int) -> torch.Tensor:
    return torch.rand(1, 1, *shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def saved(path, array):
    np.save(path, array)
    return str(path)


@given(st.integers(3, 20), st.integers(3, 20), st.integers(1, 6), st.integers(1, 6), st.sampled_from(sorted(MODES)))
def test_it_is_a_convolution(tmp_path_factory, height, width, rows, columns, boundary):
    kernel = np.random.default_rng(rows * columns).random((min(rows, height), min(columns, width)))
    a = Blur(saved(tmp_path_factory.getbasetemp() / "k.npy", kernel), boundary=boundary)
    x = picture(height, width)
    expected = ndimage.convolve(x[0, 0].numpy(), kernel / kernel.sum(), mode=MODES[boundary])
    np.testing.assert_allclose(a.forward(x)[0, 0], expected, atol=1e-12)


@pytest.mark.parametrize("boundary", MODES)
def test_gaussian(boundary):
    x = picture(40, 50)
    expected = ndimage.gaussian_filter(x[0, 0].numpy(), 2.5, mode=MODES[boundary], truncate=4)
    np.testing.assert_allclose(Blur("gaussian", 2.5, boundary=boundary).forward(x)[0, 0], expected, atol=1e-4)


def test_anisotropic_is_long_where_its_angle_says():
    def spread(angle):
        kernel = gaussian_kernel((4.0, 1.0), angle, 99, 99)
        row, column = (np.arange(n) - n // 2 for n in kernel.shape)
        moments = [np.sum(kernel * u) for u in (row[:, None] ** 2, column**2, row[:, None] * column)]
        return np.array(moments)

    np.testing.assert_allclose(spread(0), [1, 16, 0], rtol=0.02, atol=1e-9)
    np.testing.assert_allclose(spread(90), [16, 1, 0], rtol=0.02, atol=1e-9)
    np.testing.assert_allclose(spread(45), [8.5, 8.5, -7.5], rtol=0.02)  # up to the right: rows count downwards


def test_a_gaussian_is_cut_to_the_picture():
    a = parse_operator("blur:kernel=anisotropic,std=20x1,angle=45")
    taps = a.taps((3, 128, 100))
    assert taps.shape[0] <= 128
    assert taps.shape[1] <= 100
    assert taps.sum() == pytest.approx(1)
    torch.testing.assert_close(a.forward(torch.ones(1, 3, 128, 100)), torch.ones(1, 3, 128, 100))


def test_a_constant_stays_constant_in_odd_sizes():
    for boundary in MODES:
        x = torch.full((1, 2, 7, 13), 0.3)
        torch.testing.assert_close(Blur("gaussian", 1.7, boundary=boundary).forward(x), x)


def test_a_kernel_that_does_not_sum_to_one_is_normalised_and_said_to_be(tmp_path):
    a = Blur(saved(tmp_path / "k.npy", np.full((3, 3), 2, np.uint8)))
    assert len(a.notes) == 1
    assert "sums to 18" in a.notes[0]
    torch.testing.assert_close(a.forward(torch.ones(1, 1, 5, 5)), torch.ones(1, 1, 5, 5))
    assert Blur(saved(tmp_path / "l.npy", np.full((3, 3), 1 / 9, np.float32))).notes == ()
    assert Blur("gaussian", 1.0).notes == ()
    assert parse_operator("blur:kernel=k.npy + downsample:factor=2", tmp_path).notes == a.notes


def test_a_kernel_larger_than_the_picture(tmp_path):
    a = Blur(saved(tmp_path / "k.npy", np.ones((9, 3))))
    assert a.measurement_shape((3, 9, 3)) == (3, 9, 3)
    for shape in ((3, 8, 30), (3, 30, 2)):
        for method in (a.measurement_shape, a.truth_shape):
            with pytest.raises(InputError, match=r"k\.npy of 3×9 is larger than the picture of \d+×\d+"):
                method(shape)


@pytest.mark.parametrize(
    "array, message",
    [
        (np.ones((2, 2, 2)), "2-D"),
        (np.ones(5), "2-D"),
        (np.ones((0, 3)), "2-D"),
        (np.array([["a", "b"]]), "integers or floats"),
        (np.ones((2, 2), bool), "integers or floats"),
        (np.ones((2, 2), complex), "integers or floats"),
        (np.array([[1.0, np.nan]]), "NaN"),
        (np.array([[1.0, np.inf]]), "NaN or infinite"),
        (np.array([[1.0, -1.0]]), "sums to 0"),
        (np.zeros((3, 3)), "sums to 0"),
    ],
)
def test_files_that_hold_no_kernel(tmp_path, array, message):
    with pytest.raises(InputError, match=message):
        Blur(saved(tmp_path / "k.npy", array))


def test_files_that_are_no_arrays(tmp_path):
    (tmp_path / "k.npy").write_bytes(b"nothing")
    np.save(tmp_path / "o.npy", np.array([[{}]], dtype=object), allow_pickle=True)
    saved(tmp_path / "w.npy", np.ones((9, 9)))
    (tmp_path / "t.npy").write_bytes((tmp_path / "w.npy").read_bytes()[:-8])
    for name in ("k.npy", "o.npy", "t.npy", "none.npy"):
        with pytest.raises(InputError, match=name):
            Blur(str(tmp_path / name))


@pytest.mark.parametrize(
    "text, message",
    [
        ("kernel=gausian,std=1", "did you mean 'gaussian'"),
        ("std=1", "needs kernel="),
        ("kernel=gaussian", "std=3"),
        ("kernel=gaussian,std=3x1", "one standard deviation"),
        ("kernel=gaussian,std=3,angle=2", "takes no angle"),
        ("kernel=anisotropic,std=3", "std=20x1"),
        ("kernel=gaussian,std=0", "std is at least 0.05"),
        ("kernel=gaussian,std=-3", "std is at least 0.05"),
        ("kernel=anisotropic,std=3x1,angle=1000", "angle is at least -360"),
        ("kernel=gaussian,std=1,boundary=circle", "did you mean 'circular'"),
        ("kernel=gaussian,std=1x2x3", "std=1x2x3 is not a number"),
    ],
)
def test_strings_that_mean_no_blur(text, message):
    with pytest.raises(InputError, match=message):
        parse_operator(f"blur:{text}")


def test_a_file_takes_no_std(tmp_path):
    with pytest.raises(InputError, match="neither std nor angle"):
        Blur(saved(tmp_path / "k.npy", np.ones((3, 3))), std=2.0)


def test_beside(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").mkdir()
    saved(tmp_path / "k.npy", np.ones((3, 3)))
    a = parse_operator("blur:kernel=k.npy")
    moved = a.beside(tmp_path / "out")
    assert str(moved) == "blur:kernel=../k.npy,boundary=circular"
    assert parse_operator(str(moved), tmp_path / "out").taps((1, 5, 5)).shape == (3, 3)
    assert Blur("gaussian", 1.0).beside(tmp_path) == Blur("gaussian", 1.0)
