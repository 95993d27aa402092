import math
from itertools import pairwise

import pytest
import torch
from tests.traversal.problem import OPERATORS, SIDE, coloured, measured, posteriors, relative, white
from torch import Tensor

from veriscale.errors import InputError
from veriscale.physics.data_term import DataTerm
from veriscale.physics.hdr import Clip
from veriscale.physics.inpaint import Inpaint
from veriscale.physics.measurement_noise import GaussianNoise
from veriscale.traversal.anchor import WIDEST, Anchor, consistent_weight, fast, levels, levels_for, paper
from veriscale.traversal.presets import DEFAULT, PRESETS, find_preset

PRIOR = coloured()
WITHIN = {"box": 1e-5, "half": 2e-3, "smear": 1e-4}


def sigmas_for(data: DataTerm) -> list[float]:
    return levels(data.noise_std, data.operator.norm((1, SIDE, SIDE)), masked=str(data.operator) == "half")


def unit(step: int, count: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(step)
    return torch.randn(count, 1, SIDE, SIDE, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("name", OPERATORS)
def test_fast_is_the_posterior_mean_of_a_gaussian(name):
    _, data = measured(PRIOR, OPERATORS[name], count=3)
    expected = torch.stack([p.mean for p in posteriors(PRIOR, data)])
    asked: list[float] = []

    def denoise(x: Tensor, sigma: float) -> Tensor:
        asked.append(sigma)
        return PRIOR.denoise(x, sigma)

    found = fast(denoise, data, sigmas_for(data), PRIOR.mean[None].expand(3, -1, -1, -1), 1 / 16)
    assert relative(found.x, expected) < WITHIN[name]
    assert len(asked) == 16
    assert not bool(found.fell_back.any())


@pytest.mark.parametrize("name", OPERATORS)
def test_half_quadratic_splitting_is_not(name):
    """Negative control: the same maps at the same levels without the splitting variable."""
    _, data = measured(PRIOR, OPERATORS[name], count=3)
    expected = torch.stack([p.mean for p in posteriors(PRIOR, data)])
    x = data.prox(PRIOR.mean.expand_as(expected), 0.25)
    for sigma in sigmas_for(data):
        x = PRIOR.denoise(data.prox(x, sigma), sigma)
    assert relative(x, expected) > 10 * WITHIN[name]


def test_fast_stands_a_measurement_that_says_little():
    _, data = measured(PRIOR, OPERATORS["box"], noise_std=0.5)
    expected = posteriors(PRIOR, data)[0].mean[None]
    found = fast(PRIOR.denoise, data, sigmas_for(data), PRIOR.mean[None], 1 / 16)
    assert relative(found.x, expected) < 1e-3


def test_fast_falls_back_where_the_denoiser_is_expansive():
    """Item by item: the neighbour of an item that falls back is what it is alone."""
    _, data = measured(PRIOR, OPERATORS["half"], count=2)
    mean = PRIOR.mean[None].expand(2, -1, -1, -1)

    def wild(x: Tensor, sigma: float) -> Tensor:
        return torch.cat([0.5 - 1.5 * (x[:1] - 0.5), PRIOR.denoise(x[1:], sigma)])

    found = fast(wild, data, sigmas_for(data), mean, 1 / 16)
    assert found.fell_back.tolist() == [True, False]
    assert bool(found.x.isfinite().all())
    calm = DataTerm(data.operator, data.y[1:], data.noise)
    alone = fast(PRIOR.denoise, calm, sigmas_for(calm), mean[1:], 1 / 16)
    torch.testing.assert_close(found.x[1:], alone.x)


def leaping(jump: float) -> tuple[DataTerm, list[float], list[Tensor], Anchor]:
    """`fast` with two more levels of 1 in front, and a denoiser that leaps at the second."""
    _, data = measured(PRIOR, OPERATORS["half"])
    sigmas = [1.0, 1.0, *sigmas_for(data)]
    seen: list[Tensor] = []

    def denoise(x: Tensor, sigma: float) -> Tensor:
        seen.append(PRIOR.denoise(x, sigma) + (jump if len(seen) == 1 else 0))
        return seen[-1]

    return data, sigmas, seen, fast(denoise, data, sigmas, PRIOR.mean[None], 1 / 16)


def test_after_falling_back_it_is_half_quadratic_splitting():
    data, sigmas, seen, found = leaping(2 * WIDEST)
    assert bool(found.fell_back.all())
    x = seen[1]
    for sigma in sigmas[2:]:
        x = PRIOR.denoise(data.prox(x, sigma), sigma)
    torch.testing.assert_close(found.x, x)


def test_a_gap_of_the_size_of_the_level_is_no_reason_to_fall_back():
    assert not bool(leaping(0.3 * WIDEST)[-1].fell_back.any())


def test_fast_tells_every_evaluation():
    _, data = measured(PRIOR, OPERATORS["box"])
    told: list[tuple[int, int]] = []
    fast(PRIOR.denoise, data, sigmas_for(data), PRIOR.mean[None], 1 / 16, lambda done, of: told.append((done, of)))
    assert told == [(k, 16) for k in range(1, 17)]


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("noise_std", [0.001, 0.05, 0.5, 1.0])
@pytest.mark.parametrize("norm", [0.25, 1.0, 3.0])
def test_levels_fall(noise_std, norm, masked):
    found = levels(noise_std, norm, masked, steps=16)
    assert len(found) == 16
    assert all(a > b > 0 for a, b in pairwise(found))
    assert found[-1] == pytest.approx(1.5 * noise_std if masked else noise_std / math.sqrt(norm))
    assert found[0] >= 4 * found[-1] * (1 - 1e-9)


@pytest.mark.parametrize("name", OPERATORS)
def test_paper_with_the_consistent_weight_is_most_probable_under_a_quarter(name):
    prior, noise_std = white(0.25), 0.2
    _, data = measured(prior, OPERATORS[name], noise_std=noise_std)
    expected = posteriors(prior, data)[0].mean[None]

    def end(factor: float) -> float:
        weight = factor * consistent_weight(noise_std, DEFAULT.sigma)
        found = paper(prior.denoise, data, iterations=1000, weight=weight, rate=0.05, sigma=DEFAULT.sigma, noise=unit)
        return relative(found.x, expected)

    assert end(1) < 0.02
    assert end(4) > 3 * end(1)  # negative control: the weight matters


def test_paper_mends_clipped_pictures():
    x = PRIOR.sample(2, torch.Generator().manual_seed(0))
    noise = GaussianNoise(0.05)
    data = DataTerm(Clip(2.0), Clip(2.0).forward(x) + 0.05 * unit(0, 2), noise)
    found = paper(
        PRIOR.denoise,
        data,
        iterations=200,
        weight=consistent_weight(0.05, DEFAULT.sigma),
        rate=DEFAULT.rate,
        sigma=DEFAULT.sigma,
        noise=lambda step: unit(step, 2),
    )
    before, after = ((v - x).square().flatten(1).mean(1) for v in (data.start(), found.x))
    assert bool((after < 0.8 * before).all())


def test_fast_refuses_what_is_not_linear():
    data = DataTerm(Clip(2.0), PRIOR.mean[None], GaussianNoise(0.05))
    with pytest.raises(InputError, match="not linear"):
        fast(PRIOR.denoise, data, [1.0, 0.1], PRIOR.mean[None], 1 / 16)


def test_the_levels_of_a_measurement_are_those_of_its_operator():
    _, box = measured(PRIOR, OPERATORS["box"])
    shape = (1, SIDE, SIDE)
    assert levels_for(box, shape) == levels(box.noise_std, 0.25, masked=False)
    masked = DataTerm(Inpaint(keep=0.5), PRIOR.mean[None], GaussianNoise(0.05))
    assert levels_for(masked, shape) == levels(0.05, 1.0, masked=True)
    with pytest.raises(InputError, match="linear operator"):
        levels_for(DataTerm(Clip(2.0), PRIOR.mean[None], GaussianNoise(0.05)), shape)


def test_presets_by_name():
    assert find_preset(None) is DEFAULT
    assert find_preset("map-rps-blur") is PRESETS["map-rps-blur"]
    with pytest.raises(InputError, match="map-rps-blur"):
        find_preset("map-rps-blurr")
