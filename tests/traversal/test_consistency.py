import msgspec
import numpy as np
import pytest
import torch
from tests.conftest import tiny_card
from tests.traversal.problem import OPERATORS, coloured, measured

from veriscale.diffusion.card import Consistency
from veriscale.physics.data_term import DataTerm
from veriscale.physics.measurement_noise import PoissonNoise
from veriscale.traversal.consistency import Verdict, consistent, family, judge

PRIOR = coloured()
KNOWN = Consistency("box", "fast", [0.01, 0.1], [0.1, 0.4], [0.2, 0.8], 10**9)
CARD = msgspec.structs.replace(tiny_card(), consistency=[KNOWN])


@pytest.mark.parametrize("name", OPERATORS)
def test_a_consistent_picture_is_left_alone(name):
    _, data = measured(PRIOR, OPERATORS[name])
    fitting = data.prox(PRIOR.mean[None], 10.0)
    assert float(data.consistency(fitting)) < 1
    assert consistent(fitting, data) is fitting


@pytest.mark.parametrize("noise_std", [0.002, 0.05, 0.2])
@pytest.mark.parametrize("name", OPERATORS)
def test_the_residual_becomes_what_the_noise_explains(name, noise_std):
    _, data = measured(PRIOR, OPERATORS[name], noise_std=noise_std)
    x = torch.zeros_like(PRIOR.mean[None])
    assert float(data.consistency(x)) > 2
    value = float(data.consistency(consistent(x, data)))
    assert 0.98 <= value <= 1.0 + 1e-6


def test_poisson_noise_too():
    x, data = measured(PRIOR, OPERATORS["box"])
    data = DataTerm(data.operator, data.y.clamp(min=0.02), PoissonNoise(200))
    far = (x + 0.3).clamp(0, 1)
    assert float(data.consistency(far)) > 2
    assert float(data.consistency(consistent(far, data))) == pytest.approx(1, abs=0.02)


def test_no_picture_as_consistent_is_nearer():
    """The multiplier of a least change: x' − x is along −Aᵀ(Ax' − y), and any way back towards x leaves the ball."""
    _, data = measured(PRIOR, OPERATORS["smear"])
    x = PRIOR.mean[None]
    moved = consistent(x, data)
    step, slope = (moved - x).flatten(), -data.gradient(moved)[1].flatten()
    assert float(step @ slope / (step.norm() * slope.norm())) > 1 - 1e-6
    generator = torch.Generator().manual_seed(0)
    for _ in range(50):
        other = moved + 0.01 * torch.randn(moved.shape, generator=generator, dtype=torch.float64)
        nearer = x + (other - x) * float(step.norm()) / float((other - x).norm()) * 0.98
        assert float(data.consistency(nearer)) > 1


def test_bounds_are_interpolated_in_log_noise():
    assert KNOWN.at(0.01, 10**9) == pytest.approx((0.1, 0.2))
    assert KNOWN.at(0.1, 10**9) == pytest.approx((0.4, 0.8))
    assert KNOWN.at(0.1 * 10**-0.5, 10**9) == pytest.approx((0.2, 0.4))


@pytest.mark.parametrize("noise_std", [0.005, 0.2])
def test_no_bounds_outside_of_what_was_measured(noise_std):
    assert KNOWN.at(noise_std, 10**9) is None
    verdict = judge(CARD, OPERATORS["box"], noise_std, "fast", 5.0, 10**9)
    assert verdict == Verdict(5.0)
    assert not verdict.alarm
    assert "not on the prior's card" in verdict.sentence()


@pytest.mark.parametrize(
    "value, alarm, overstated",
    [(0.3, False, False), (1.0, True, False), (float("nan"), True, False), (0.19, False, False), (0.13, False, True)],
)
def test_the_alarm_is_raised_above_the_bounds_and_far_below_something_else_is_said(value, alarm, overstated):
    verdict = judge(CARD, OPERATORS["box"], 0.1 * 10**-0.5, "fast", value, 10**9)
    assert (verdict.alarm, verdict.overstated) == (alarm, overstated)
    assert ("ALARM" in verdict.sentence()) is alarm
    assert ("the measurement is less noisy than was said" in verdict.sentence()) is overstated
    assert ("not above what is usual (0.2 to 0.4" in verdict.sentence()) is not (alarm or overstated)


def test_other_operators_and_anchors_are_not_judged_by_these_bounds():
    assert judge(CARD, OPERATORS["half"], 0.05, "fast", 9.0, 10**9).low is None
    assert judge(CARD, OPERATORS["box"], 0.05, "paper", 9.0, 10**9).low is None


def test_a_family_is_the_operator_without_its_seed():
    class Named(type(OPERATORS["box"])):
        def __str__(self) -> str:
            return "inpaint:keep=0.5,seed=7 + downsample:factor=2,kernel=box"

    assert family(Named()) == "inpaint:keep=0.5 + downsample:factor=2,kernel=box"


def test_few_values_widen_the_bounds_by_what_their_noise_varies():
    rng = np.random.default_rng(0)
    bounds = Consistency("box", "fast", [0.05], [0.999], [1.001], 10**9).at(0.05, 200)
    values = np.square(rng.standard_normal((4000, 200))).mean(1)
    assert np.mean((values > bounds[0]) & (values < bounds[1])) == pytest.approx(0.95, abs=0.015)
