"""The posterior of thick slices against closed forms, for Gaussian lines whose voxels go together."""

import numpy as np
import pytest
import torch

from veriscale.physics.data_term import DataTerm
from veriscale.physics.measurement_noise import GaussianNoise, PoissonNoise
from veriscale.physics.slice_profile import SliceProfile
from veriscale.traversal import thick_slices
from veriscale.traversal.posterior import Proximal
from veriscale.traversal.thick_slices import ThickSlices

N, LENGTH, VARIANCE, MEAN = 16, 20.0, 1 / 16, 0.5


def problem(axis: int, noise=None):
    """A volume of independent lines along `axis`, its thick slices, and the covariance of a line."""
    operator = SliceProfile(4, 4, axis=axis).bind(np.eye(4))
    place = torch.arange(N, dtype=torch.float64)
    sigma = VARIANCE * torch.exp(-(place[:, None] - place).abs() / LENGTH)
    g = torch.Generator().manual_seed(1)
    lines = torch.randn(1, 1, 3, 5, N, generator=g, dtype=torch.float64) @ torch.linalg.cholesky(sigma).T
    x = (MEAN + lines).movedim(-1, 2 + axis)
    y = operator.forward(x)
    if noise is None:
        noise = GaussianNoise(0.01)
        y = y + 0.01 * torch.randn(y.shape, generator=g, dtype=torch.float64)
    return x, DataTerm(operator, y, noise), sigma


def matrix(data: DataTerm, axis: int) -> torch.Tensor:
    shape = [1] * 5
    shape[2 + axis] = N
    columns = [data.operator.forward(torch.eye(N, dtype=torch.float64)[k].view(shape)).flatten() for k in range(N)]
    return torch.stack(columns, 1)


@pytest.mark.parametrize("level", [0.02, 0.3, 2.0])
@pytest.mark.parametrize("axis", [0, 2])
def test_exact_for_gaussian_lines(axis, level):
    x, data, sigma = problem(axis)
    eye = torch.eye(N, dtype=torch.float64)
    at = x + level * torch.randn(x.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)

    def denoise(v, s):
        gain = sigma @ torch.linalg.inv(sigma + s**2 * eye)
        return MEAN + ((v - MEAN).movedim(2 + axis, -1) @ gain.T).movedim(-1, 2 + axis)

    a = matrix(data, axis)
    precision = torch.linalg.inv(sigma) + eye / level**2 + a.T @ a / data.noise_std**2
    seen = (data.y - MEAN).movedim(2 + axis, -1) @ a / data.noise_std**2
    seen = seen + (at - MEAN).movedim(2 + axis, -1) / level**2
    expected = MEAN + (seen @ torch.linalg.inv(precision).T).movedim(-1, 2 + axis)
    found = ThickSlices(denoise, data, VARIANCE, LENGTH)(at, level)
    assert (found - expected).abs().max() < 1e-8
    if level > 0.1:  # negative control: a white covariance is another answer
        assert (Proximal(denoise, data, VARIANCE)(at, level) - expected).abs().max() > 1e-3


def test_noise_of_each_value_has_a_say():
    """With weights the answer minimises the weighted misfit and the distance in the norm of what is left open."""
    x, data, sigma = problem(2, PoissonNoise(200.0))
    level = 0.3
    found = ThickSlices(lambda v, s: 0.9 * v, data, VARIANCE, LENGTH)(x, level)
    a, eye = matrix(data, 2), torch.eye(N, dtype=torch.float64)
    left = torch.linalg.inv(torch.linalg.inv(sigma) + eye / level**2)
    variance = data.variance_at(0.9 * x)
    assert variance.std() / variance.mean() > 0.1  # they differ
    gradient = torch.linalg.solve(left, (found - 0.9 * x).flatten(0, 3).T).T
    gradient = gradient + (((found @ a.T - data.y) / variance) @ a).flatten(0, 3)
    assert gradient.abs().max() < 1e-6 * (0.1 * x.abs().max() / VARIANCE)


@pytest.mark.parametrize("level", [0.02, 0.3, 2.0])
def test_exact_where_three_channels_show_one_volume(level):
    """Noise of x_σ that is new in each channel, one measurement: V counts three times, as the noise does."""
    x, data, sigma = problem(2)
    eye = torch.eye(N, dtype=torch.float64)
    x = x.expand(-1, 3, -1, -1, -1)
    at = x + level * torch.randn(x.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    common = level**2 / 3  # the variance of the mean over channels, which is all that they tell

    def denoise(v, s):
        gain = sigma @ torch.linalg.inv(sigma + common * eye)
        return (MEAN + (v.mean(1, keepdim=True) - MEAN) @ gain.T).expand(v.shape)

    a = matrix(data, 2)
    precision = torch.linalg.inv(sigma) + eye / common + a.T @ a / data.noise_std**2
    seen = (data.y - MEAN) @ a / data.noise_std**2 + (at.mean(1, keepdim=True) - MEAN) / common
    expected = MEAN + seen @ torch.linalg.inv(precision).T
    copied = DataTerm(data.operator, data.y.expand(-1, 3, -1, -1, -1), data.noise, copies=3)
    found = ThickSlices(denoise, copied, copied.copies * VARIANCE, LENGTH)(at, level)
    assert (found - expected).abs().max() < 1e-8


@pytest.mark.parametrize("block, lines", [(1, 1), (2 * 8 * 4**2, 2), (4 * 8 * 4**2 - 1, 3), (2**26, 5)])
def test_noise_of_each_value_does_not_take_more_memory_than_a_block(block, lines, monkeypatch):
    """Four slices of planes of five lines; blocks decide nothing."""
    x, data, _ = problem(2, PoissonNoise(200.0))
    method = ThickSlices(lambda v, s: 0.9 * v, data, VARIANCE, LENGTH)
    expected, most, solve = method(x, 0.3), [], torch.linalg.solve

    def counted(systems, values):
        most.append(systems.shape[0] if systems.ndim == 3 else 0)
        return solve(systems, values)

    monkeypatch.setattr(thick_slices, "BLOCK", block)
    monkeypatch.setattr(torch.linalg, "solve", counted)
    assert torch.allclose(method(x, 0.3), expected, rtol=0, atol=1e-14)
    assert max(most) == lines
