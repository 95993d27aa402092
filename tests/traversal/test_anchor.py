import math
from itertools import pairwise

import msgspec
import pytest
import torch
from tests.conftest import tiny_card
from tests.traversal.problem import OPERATORS, SIDE, coloured, measured, posteriors, relative, white
from torch import Tensor

from veriscale.errors import InputError
from veriscale.physics.composition import compose
from veriscale.physics.data_term import DataTerm
from veriscale.physics.hdr import Clip
from veriscale.physics.inpaint import Inpaint
from veriscale.physics.measurement_noise import GaussianNoise, PoissonNoise
from veriscale.physics.own_operator import operator_from
from veriscale.physics.registry import parse_operator
from veriscale.traversal.anchor import FLIPS, WIDEST, Anchor, consistent_weight, fast, paper
from veriscale.traversal.presets import DEFAULT, PRESETS, find_preset
from veriscale.traversal.splitting import (
    EXACT,
    EXACT_MASKED,
    Rule,
    Splitting,
    splitting,
    splitting_evaluations,
    splitting_for,
)

PRIOR = coloured()
CLIPPED_HOLES = parse_operator("inpaint:keep=0.5 + hdr:gain=2")  # without a proximal map
WITHIN = {"box": 1e-5, "half": 2e-3, "smear": 1e-4}


def way_for(data: DataTerm) -> Splitting:
    return splitting_for(data, (1, SIDE, SIDE))


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

    found = fast(denoise, data, way_for(data), PRIOR.mean[None].expand(3, -1, -1, -1), 1 / 16)
    assert relative(found.x, expected) < WITHIN[name]
    assert len(asked) == 16
    assert not bool(found.fell_back.any())


@pytest.mark.parametrize("name", OPERATORS)
def test_half_quadratic_splitting_is_not(name):
    """Negative control: the same maps at the same levels without the splitting variable."""
    _, data = measured(PRIOR, OPERATORS[name], count=3)
    expected = torch.stack([p.mean for p in posteriors(PRIOR, data)])
    x = data.prox(PRIOR.mean.expand_as(expected), 0.25)
    for sigma in way_for(data).sigmas:
        x = PRIOR.denoise(data.prox(x, sigma), sigma)
    assert relative(x, expected) > 10 * WITHIN[name]


def test_fast_stands_a_measurement_that_says_little():
    _, data = measured(PRIOR, OPERATORS["box"], noise_std=0.5)
    expected = posteriors(PRIOR, data)[0].mean[None]
    found = fast(PRIOR.denoise, data, way_for(data), PRIOR.mean[None], 1 / 16)
    assert relative(found.x, expected) < 1e-3


def test_fast_falls_back_where_the_denoiser_is_expansive():
    """Item by item: the neighbour of an item that falls back is what it is alone."""
    _, data = measured(PRIOR, OPERATORS["half"], count=2)
    mean = PRIOR.mean[None].expand(2, -1, -1, -1)

    def wild(x: Tensor, sigma: float) -> Tensor:
        return torch.cat([0.5 - 1.5 * (x[:1] - 0.5), PRIOR.denoise(x[1:], sigma)])

    found = fast(wild, data, way_for(data), mean, 1 / 16)
    assert found.fell_back.tolist() == [True, False]
    assert bool(found.x.isfinite().all())
    calm = DataTerm(data.operator, data.y[1:], data.noise)
    alone = fast(PRIOR.denoise, calm, way_for(calm), mean[1:], 1 / 16)
    torch.testing.assert_close(found.x[1:], alone.x)


def leaping(jump: float) -> tuple[DataTerm, list[float], list[Tensor], Anchor]:
    """`fast` with two more levels of 1 in front, and a denoiser that leaps at the second."""
    _, data = measured(PRIOR, OPERATORS["half"])
    sigmas = [1.0, 1.0, *way_for(data).sigmas]
    seen: list[Tensor] = []

    def denoise(x: Tensor, sigma: float) -> Tensor:
        seen.append(PRIOR.denoise(x, sigma) + (jump if len(seen) == 1 else 0))
        return seen[-1]

    return data, sigmas, seen, fast(denoise, data, Splitting(sigmas), PRIOR.mean[None], 1 / 16)


def test_after_falling_back_it_is_half_quadratic_splitting():
    data, sigmas, seen, found = leaping(2 * WIDEST)
    assert bool(found.fell_back.all())
    x = seen[1].flip(FLIPS[1])
    for sigma in sigmas[2:]:
        x = PRIOR.denoise(data.prox(x, sigma), sigma)
    torch.testing.assert_close(found.x, x)


def test_a_gap_of_the_size_of_the_level_is_no_reason_to_fall_back():
    assert not bool(leaping(0.3 * WIDEST)[-1].fell_back.any())


@pytest.mark.parametrize("name", OPERATORS)
def test_relaxed_it_has_the_same_fixed_point(name):
    _, data = measured(PRIOR, OPERATORS[name])
    way = way_for(data)._replace(relaxation=0.5)
    levels = [sigma for sigma in way.sigmas for _ in range(40)]
    found = fast(PRIOR.denoise, data, way._replace(sigmas=levels), PRIOR.mean[None], 1 / 16)
    assert relative(found.x, posteriors(PRIOR, data)[0].mean[None]) < 1e-4


@pytest.mark.parametrize("relaxation", [1.0, 0.5])
def test_relaxed_it_stands_a_denoiser_that_is_no_proximal_map(relaxation):
    """One that goes beyond its answer, as the mean over two directions of a volume does."""
    _, data = measured(PRIOR, OPERATORS["half"])
    way = way_for(data)._replace(relaxation=relaxation)
    found = fast(lambda x, sigma: 1.8 * PRIOR.denoise(x, sigma) - 0.8 * x, data, way, PRIOR.mean[None], 1 / 16)
    assert bool(found.fell_back.any()) == (relaxation == 1)


def test_slices_that_are_thick_are_relaxed():
    operator = parse_operator("slice:fwhm=4,step=4,axis=2").bind(torch.eye(4).numpy())
    data = DataTerm(operator, torch.zeros(1, 1, 8, 8, 2), GaussianNoise(0.01))
    mode = tiny_card().modes[0]
    assert splitting_for(data, (1, 8, 8, 8), mode).relaxation == 0.5
    boxed = DataTerm(parse_operator("downsample:factor=4"), torch.zeros(1, 1, 2, 2), GaussianNoise(0.01))
    assert splitting_for(boxed, (1, 8, 8), mode).relaxation == 1


def test_a_card_says_how_far_each_kind_is_relaxed():
    mode = msgspec.structs.replace(tiny_card().modes[0], relaxation=0.7, mask_relaxation=0.6)
    boxed = DataTerm(parse_operator("downsample:factor=4"), torch.zeros(1, 1, 2, 2), GaussianNoise(0.01))
    seen = DataTerm(parse_operator("inpaint:keep=0.5"), torch.zeros(1, 1, 8, 8), GaussianNoise(0.01))
    assert splitting_for(boxed, (1, 8, 8), mode).relaxation == 0.7
    assert splitting_for(seen, (1, 8, 8), mode).relaxation == 0.6


def test_fast_tells_every_evaluation():
    _, data = measured(PRIOR, OPERATORS["box"])
    told: list[tuple[int, int]] = []
    fast(PRIOR.denoise, data, way_for(data), PRIOR.mean[None], 1 / 16, lambda done, of: told.append((done, of)))
    assert told == [(k, 16) for k in range(1, 17)]


LEARNED = Rule(0.35, low=0.01, trust=0.7)


@pytest.mark.parametrize("rule", [None, LEARNED])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("noise_std", [0.001, 0.05, 0.5, 1.0])
@pytest.mark.parametrize("norm", [0.25, 1.0, 3.0])
def test_levels_fall(noise_std, norm, masked, rule):
    found = splitting(noise_std, norm, masked, rule)
    trust, low = (1.0, 0.0) if rule is None else (rule.trust, rule.low)
    aim = trust * (1.5 if masked else 1) * noise_std / math.sqrt(norm)
    assert len(found.sigmas) == 16
    assert all(a > b > 0 for a, b in pairwise(found.sigmas))
    assert found.sigmas[-1] == pytest.approx(max(aim, low))
    apart = 4 if rule is None or masked else 1.2  # a learned denoiser drifts from where the others begin
    assert found.sigmas[0] == pytest.approx(
        max((rule or (EXACT_MASKED if masked else EXACT)).high, apart * max(aim, low))
    )
    assert found.last == pytest.approx(math.sqrt(max(0, low**2 - aim**2)), abs=1e-6)
    assert found.trust == trust


def test_the_last_step_goes_out_as_the_noise_grows():
    """A rule without a jump: at the noise whose level is `low`, there is nothing left to do."""
    last = [splitting(s, 1.0, True, LEARNED).last for s in (0.0011, 0.003, 0.006, 0.009, 0.00952, 0.00953, 0.05)]
    assert last == sorted(last, reverse=True)
    assert last[0] > 0.0099
    assert 0 < last[-3] < 5e-4
    assert last[-2:] == [0.0, 0.0]


def test_a_last_step_says_what_the_data_still_say():
    """With a denoiser that errs by a quarter of its level."""
    x, data = measured(PRIOR, OPERATORS["half"], count=3, noise_std=0.001)
    way = splitting(0.001, 1.0, True, Rule(0.5, low=0.02))
    start = PRIOR.mean[None].expand(3, -1, -1, -1)

    def erring(x: Tensor, sigma: float) -> Tensor:
        return PRIOR.denoise(x, sigma) + sigma / 4 * unit(round(1e6 * sigma), 3)

    ended, open_ = (fast(erring, data, w, start, 1 / 16).x for w in (way, way._replace(last=0.0)))
    assert float(data.consistency(open_).min()) > 10
    assert float(data.consistency(ended).max()) < 1
    errors = [float((found - x).square().mean()) for found in (ended, open_)]
    assert errors[0] < errors[1]


def test_a_whole_picture_takes_one_evaluation_and_it_is_exact():
    _, data = measured(PRIOR, Inpaint(keep=1.0), count=2)
    way = splitting_for(data, (1, SIDE, SIDE))
    assert way.sigmas == [data.noise_std]
    assert splitting_evaluations(data.operator, GaussianNoise(0.05), (1, SIDE, SIDE)) == 1
    found = fast(PRIOR.denoise, data, way, PRIOR.mean[None].expand(2, -1, -1, -1), 1 / 16)
    assert relative(found.x, torch.cat([p.mean[None] for p in posteriors(PRIOR, data)])) < 1e-6
    assert splitting_evaluations(data.operator, PoissonNoise(30), (1, SIDE, SIDE)) == 16
    assert splitting_evaluations(OPERATORS["half"], GaussianNoise(0.05), (1, SIDE, SIDE)) == 16


def test_every_evaluation_sees_the_picture_flipped_another_way(monkeypatch):
    """What a denoiser adds on the right of whatever it sees ends on neither side."""
    _, data = measured(PRIOR, OPERATORS["half"])
    way = splitting_for(data, (1, SIDE, SIDE))

    def leaning(x: Tensor, sigma: float) -> Tensor:
        return PRIOR.denoise(x, sigma) + 0.1 * sigma * torch.linspace(-1, 1, SIDE, dtype=torch.float64)

    def lean() -> float:
        off = (
            fast(leaning, data, way, PRIOR.mean[None], 1 / 16).x
            - fast(PRIOR.denoise, data, way, PRIOR.mean[None], 1 / 16).x
        )
        return abs(float((off * torch.linspace(-1, 1, SIDE, dtype=torch.float64)).mean()))

    turned = lean()
    monkeypatch.setattr("veriscale.traversal.anchor.FLIPS", ((),))
    assert turned < 0.5 * lean()


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


def test_fast_refuses_what_measures_nothing():
    sides = [
        operator_from(lambda x, k=k: x * (torch.arange(8) // 4 == k), name=f"side-{k}", version="1") for k in (0, 1)
    ]
    both, y = compose(sides), torch.zeros(1, 1, 8, 8)
    with pytest.raises(
        InputError, match=r"name=side-1,version=1 gives 0 for every picture, so that nothing is measured"
    ):
        splitting_for(DataTerm(both, y, GaussianNoise(0.1)), (1, 8, 8))


def test_fast_refuses_what_has_no_proximal_map():
    data = DataTerm(CLIPPED_HOLES, PRIOR.mean[None], GaussianNoise(0.05))
    with pytest.raises(InputError, match="needs a proximal map"):
        fast(PRIOR.denoise, data, Splitting([1.0, 0.1]), PRIOR.mean[None], 1 / 16)


def test_fast_mends_clipped_pictures():
    """What is not clipped is met, and what is lies beyond the limit where its neighbours say so."""
    x, noise = PRIOR.sample(4, torch.Generator().manual_seed(3)), GaussianNoise(0.02)
    operator = Clip(3.0)
    data = DataTerm(operator, (operator.forward(x) + 0.02 * unit(1, 4)).clamp(0, 1), noise)
    found = fast(PRIOR.denoise, data, way_for(data), PRIOR.mean[None].expand(4, -1, -1, -1), 1 / 16).x
    limit = ((data.y - 0.5) / 3 + 0.5).clamp(1 / 3, 2 / 3)
    assert float((found - x).square().mean()) < float((limit - x).square().mean())
    assert float(data.consistency(found).mean()) < 1
    assert float(found.max()) > 2 / 3 + 0.01


def test_the_levels_of_a_measurement_are_those_of_its_operator():
    _, box = measured(PRIOR, OPERATORS["box"])
    shape = (1, SIDE, SIDE)
    assert splitting_for(box, shape) == splitting(box.noise_std, 0.25, masked=False)
    masked = DataTerm(Inpaint(keep=0.5), PRIOR.mean[None], GaussianNoise(0.05))
    assert splitting_for(masked, shape) == splitting(0.05, 1.0, masked=True)
    mode = tiny_card().modes[0]
    assert splitting_for(box, shape, mode).trust == mode.trust
    assert splitting_for(masked, shape, mode).trust == mode.mask_trust
    with pytest.raises(InputError, match="needs a proximal map"):
        splitting_for(DataTerm(CLIPPED_HOLES, PRIOR.mean[None], GaussianNoise(0.05)), shape)


def test_presets_by_name():
    assert find_preset(None) is DEFAULT
    assert find_preset("map-rps-blur") is PRESETS["map-rps-blur"]
    with pytest.raises(InputError, match="map-rps-blur"):
        find_preset("map-rps-blurr")


def test_a_blind_denoiser_is_told_the_level_by_noise_that_cancels():
    _, data = measured(PRIOR, OPERATORS["half"], count=2)
    seen: list[tuple[Tensor, float]] = []

    def keep(x: Tensor, sigma: float) -> Tensor:
        seen.append((x, sigma))
        return PRIOR.denoise(x, sigma)

    start = torch.full((2, 1, SIDE, SIDE), 0.5, dtype=torch.float64)
    way = splitting_for(data, (1, SIDE, SIDE), blind=True)
    plain = fast(keep, data, way, start, 1 / 16).x
    alone = [x for x, _ in seen]
    seen.clear()
    told = fast(keep, data, way, start, 1 / 16, noise=lambda k: unit(k, 2)).x
    pairs = list(zip(seen[::2], seen[1::2], strict=True))
    assert len(pairs) == len(way.sigmas) == len(way_for(data).sigmas) // 2
    assert torch.allclose((pairs[0][0][0] + pairs[0][1][0]) / 2, alone[0])
    for (a, sigma), (b, _) in pairs:
        assert float((a - b).std() / 2) == pytest.approx(sigma, rel=0.1)
    # A denoiser that is linear answers as if there had been none.
    assert torch.allclose(plain, told)
