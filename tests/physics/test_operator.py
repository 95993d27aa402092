import numpy as np
import pytest

from veriscale.errors import InputError
from veriscale.imaging.resize import KERNELS
from veriscale.physics.operator import Downsample, parse_operator


@pytest.mark.parametrize("kernel", sorted(KERNELS))
@pytest.mark.parametrize("factor", [1, 2, 3, 8])
def test_string_to_operator_to_string(kernel, factor):
    a = Downsample(factor, kernel)
    assert parse_operator(str(a)) == a


def test_box_is_the_mean_of_blocks():
    x = np.random.default_rng(0).random((12, 18, 3)).astype(np.float32)
    expected = x.reshape(4, 3, 6, 3, 3).mean((1, 3))
    np.testing.assert_allclose(Downsample(3, "box").forward(x), expected, atol=1e-6)


WRONG = ["blur", "downsample", "downsample:factor=x", "downsample:factor=2,kernel=", "downsample:2"]


@pytest.mark.parametrize("text", WRONG)
def test_strings_that_mean_nothing(text):
    with pytest.raises(InputError):
        parse_operator(text)
