"""Where full draws start: high enough to be draws, low enough that `proximal` draws do not vary too much."""

import math

import pytest
import torch
from tests.traversal.problem import coloured_of, posteriors_of

from veriscale.diffusion.samplers import sample
from veriscale.diffusion.schedule import karras
from veriscale.physics.inpaint import Inpaint
from veriscale.physics.measurement_noise import GaussianNoise, PoissonNoise
from veriscale.physics.registry import parse_operator
from veriscale.traversal.posterior import Proximal
from veriscale.traversal.start import THICK, WIDE, full_level, gap, pilot_starts

SIDE, STEPS, DRAWS = 32, 20, 24
QUIET = GaussianNoise(0.0)


def std_ratio(text: str, start: float | None = None) -> float:
    """Of `proximal` draws from the exact mean, at the shipped start and steps, over the exact posterior's."""
    prior = coloured_of(SIDE)
    operator = parse_operator(text)
    data, mean, variance = posteriors_of(prior, operator)
    start = start or full_level(operator, data.noise, tuple(data.y.shape[1:]))
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(DRAWS, *mean.shape[1:], generator=generator, dtype=torch.float64)
    posterior = Proximal(prior.denoise, data, 1 / 16)
    x = sample("dpm-solver++", posterior, mean + start * noise, karras(start, 0.005, STEPS), lambda s: 0.0, lambda k: x)
    return math.sqrt(float(x.var(0).mean()) / variance)


@pytest.mark.parametrize(
    "text",
    [
        "inpaint:keep=0.5",
        "inpaint:keep=0.2",
        "inpaint:keep=0.1",
        "inpaint:box=16",
        "sensing:ratio=0.5",
        "downsample:factor=4,kernel=box",
        "blur:kernel=anisotropic,std=20x1,angle=45",
        "blur:kernel=gaussian,std=3",
    ],
)
def test_draws_vary_as_the_posterior_does(text):
    assert 0.87 <= std_ratio(text) <= 1.13  # one measurement of a small picture: 0.9 to 1.1 is the benchmark's


def test_from_too_high_and_too_low_they_do_not():
    """Negative controls: a mask from where a blur starts, and a blur from where a mask does."""
    assert std_ratio("inpaint:keep=0.5", WIDE) > 1.25
    assert std_ratio("blur:kernel=anisotropic,std=20x1,angle=45", 0.28) < 0.8


def test_the_gap_is_the_distance_to_what_is_seen():
    assert gap(Inpaint(box=4), (3, 32, 32)) == pytest.approx((12 * 1 + 4 * 2) / 16)
    assert gap(Inpaint(keep=1.0), (3, 32, 32)) == 1


def test_starts_rise_with_what_is_left_open():
    shape = (3, 64, 64)
    starts = [full_level(Inpaint(keep=k), QUIET, shape) for k in (0.9, 0.5, 0.2, 0.05)]
    starts += [full_level(Inpaint(box=b), QUIET, shape) for b in (16, 32)]
    assert starts == sorted(starts)
    assert starts[-1] < WIDE
    assert full_level(parse_operator("downsample:factor=4"), QUIET, (3, 16, 16)) == THICK
    assert full_level(Inpaint(keep=0.5), QUIET, shape, "dps") == THICK


def test_coefficients_start_lower_where_there_is_little_noise():
    operator, shape = parse_operator("sensing:ratio=0.5"), (3, 64, 64)
    quiet, calm, noisy, loud = (full_level(operator, GaussianNoise(s), shape) for s in (0.0, 0.01, 0.05, 0.2))
    assert quiet == pytest.approx(noisy / 2)
    assert calm == pytest.approx(0.6 * noisy)
    assert loud == noisy == full_level(operator, PoissonNoise(100), shape)


def test_pilots_start_below_a_full_draw():
    for text in ("inpaint:keep=0.5", "downsample:factor=4"):
        found = pilot_starts(parse_operator(text), 0.3)
        assert list(found) == sorted(found)
        assert 0 < found[0] < found[-1] < 0.3
