import numpy as np
import pytest

from veriscale.imaging.read import read_photo
from veriscale.imaging.resize import resize
from veriscale.physics.noise_estimate import estimate_noise


@pytest.mark.parametrize("std", [0.005, 0.02, 0.05, 0.1])
def test_white_noise_on_grey_is_measured(std):
    y = 0.5 + std * np.random.default_rng(0).standard_normal((200, 200, 3)).astype(np.float32)
    assert estimate_noise(y) == pytest.approx(std, rel=0.06)


def test_a_ramp_is_no_noise():
    y = np.linspace(0.1, 0.9, 200 * 200, dtype=np.float32).reshape(200, 200, 1)
    assert estimate_noise(y) == 0


@pytest.mark.parametrize("std", [0.0, 0.02, 0.05])
def test_noise_on_a_photograph(skimage_data, std):
    x = resize(read_photo(skimage_data / "coffee.png").pixels, 200, 300)
    y = x + std * np.random.default_rng(0).standard_normal(x.shape).astype(np.float32)
    assert estimate_noise(y) == pytest.approx(std, abs=0.006)
