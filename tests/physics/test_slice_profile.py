import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from veriscale.errors import InputError
from veriscale.physics.registry import parse_operator
from veriscale.physics.slice_profile import SliceProfile

AFFINE = np.array([[0.0, 0, -0.5, 5], [0, 2.0, 0, -3], [1.0, 0, 0, 2], [0, 0, 0, 1]])


def test_it_lives_in_millimetres():
    a = SliceProfile(4.0, 4.0)
    for use in (lambda: a.measurement_shape((1, 9, 9, 9)), lambda: a.truth_shape((1, 9, 9, 9)), lambda: a.factor):
        with pytest.raises(InputError, match="in millimetres; bind it"):
            use()
    with pytest.raises(InputError, match="in millimetres; bind it"):
        a.forward(torch.ones(1, 1, 9, 9, 9))
    assert a.bind(AFFINE).spacing == 0.5
    assert a.bind(AFFINE).factor == 8
    assert SliceProfile(4.0, 4.0, 0).bind(AFFINE).factor == 4
    assert str(a.bind(AFFINE)) == str(a)


def test_axes():
    a = SliceProfile(3.0, 3.0, 0).bind(AFFINE)
    assert a.measurement_shape((1, 9, 7, 8)) == (1, 3, 7, 8)
    assert a.forward(torch.ones(2, 1, 9, 7, 8)).shape == (2, 1, 3, 7, 8)
    assert SliceProfile(2.0, 2.0, 2).bind(AFFINE).measurement_shape((1, 9, 7, 8)) == (1, 9, 7, 2)
    with pytest.raises(InputError, match="2 spatial axes has no axis 2; known: 0, 1"):
        SliceProfile(2.0, 2.0, 2).bind(AFFINE).measurement_shape((1, 9, 7))
    with pytest.raises(InputError, match="2 voxels along axis 0 are too few"):
        a.measurement_shape((1, 2, 7, 8))


def test_profile_has_its_width():
    a = SliceProfile(8.0, 3.0, 0).bind(np.eye(4))
    eye = torch.eye(90, dtype=torch.float64).reshape(90, 1, 90, 1, 1)
    row = a.forward(eye)[:, 0, 15, 0, 0].numpy()  # centred at voxel (15 + ½)·3 − ½ = 46
    half = np.interp(0.5 * row.max(), row[:47], np.arange(47.0))
    assert 2 * (46 - half) == pytest.approx(8, rel=0.01)
    assert row.argmax() == 46
    assert row.sum() == pytest.approx(1)


@given(st.integers(3, 60), st.floats(1, 3), st.floats(0.01, 5))
def test_field_of_view_is_kept(n, step, fwhm):
    a = SliceProfile(fwhm, step, 0).bind(np.eye(4))
    y = a.measurement_shape((1, n, 1))
    assert a.measurement_shape(a.truth_shape(y)) == y
    assert a.truth_shape(y)[1] <= n
    x = torch.ones(1, 1, a.truth_shape(y)[1], 1)
    torch.testing.assert_close(a.forward(x), torch.ones(1, *y))


def test_a_ramp_stays_in_place():
    a = SliceProfile(4.0, 2.5, 0).bind(np.eye(4))
    n = 50
    y = a.forward(torch.arange(n, dtype=torch.float64).reshape(1, 1, n, 1))[0, 0, :, 0]
    centre = (torch.arange(20) + 0.5) * 2.5 - 0.5
    torch.testing.assert_close(y[4:-4], centre[4:-4].double(), atol=1e-2, rtol=0)


def test_affine_moves_with_the_slices():
    a = SliceProfile(4.0, 4.0, 2).bind(AFFINE)
    coarse = a.moved(AFFINE)
    for i in (0.0, 3.0, 17.0):
        fine_point = AFFINE @ [2, 1, i, 1]
        np.testing.assert_allclose(coarse @ [2, 1, (i + 0.5) / 8 - 0.5, 1], fine_point)


@pytest.mark.parametrize(
    "text, message",
    [
        ("slice:fwhm=4", "needs step="),
        ("slice:fwhm=0,step=4", "fwhm is above 0"),
        ("slice:fwhm=4,step=-1", "step is above 0"),
        ("slice:fwhm=4,step=4,axis=3", "axis is 0, 1 or 2"),
        ("slice:fwhm=4,step=4,axis=1.5", "not a whole number"),
        ("slice:fwhm=4,step=4,spacing=1", "unknown key 'spacing'"),
    ],
)
def test_strings_that_mean_no_slices(text, message):
    with pytest.raises(InputError, match=message):
        parse_operator(text)


def test_steps_finer_than_the_grid():
    with pytest.raises(InputError, match=r"a step of 1\.5 mm is finer than the grid's 2 mm along axis 1"):
        SliceProfile(2.0, 1.5, 1).bind(AFFINE)
    with pytest.raises(InputError, match="no spacing"):
        SliceProfile(2.0, 1.5, 1).bind(np.zeros((4, 4)))
