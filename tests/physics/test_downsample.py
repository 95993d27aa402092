import numpy as np
import pytest
import torch

from veriscale.physics.downsample import downsample_interior
from veriscale.physics.operator import Downsample


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_patches_are_measured_as_in_the_whole_picture(factor):
    x = np.random.default_rng(0).random((20 * factor, 24 * factor, 3)).astype(np.float32)
    whole = Downsample(factor).forward(x)
    patch = torch.from_numpy(x).permute(2, 0, 1)[None, :, 3 * factor : 15 * factor, 5 * factor : 20 * factor]
    inside = downsample_interior(patch, factor)[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(inside, whole[5:13, 7:18], atol=1e-5)
