from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from veriscale.errors import InputError
from veriscale.physics.data_term import WEIGHTS, DataTerm
from veriscale.physics.hdr import Clip
from veriscale.physics.measurement_noise import ROUNDING, GaussianNoise, PoissonNoise, RicianNoise
from veriscale.physics.operator import LinearOperator, Operator, Shape
from veriscale.physics.registry import parse_operator

NOISES = [GaussianNoise(0.05), PoissonNoise(30), RicianNoise(0.05)]


@dataclass(frozen=True)
class Halved(LinearOperator):
    """Means over 2×2 pixels, the last column not measured: coarser than the truth, and with a support."""

    name: ClassVar[str] = "halved"

    def forward(self, x: Tensor) -> Tensor:
        y = functional.avg_pool2d(x, 2)
        return y * self.support(tuple(y.shape[1:]))

    def adjoint(self, y: Tensor) -> Tensor:
        y = y * self.support(tuple(y.shape[1:])).to(y)
        return y.repeat_interleave(2, -1).repeat_interleave(2, -2) / 4

    def norm(self, shape: Shape) -> float:
        return 0.5

    def measurement_shape(self, shape: Shape) -> Shape:
        return (shape[0], shape[1] // 2, shape[2] // 2)

    def truth_shape(self, shape: Shape) -> Shape:
        return (shape[0], 2 * shape[1], 2 * shape[2])

    def support(self, shape: Shape) -> Tensor:
        support = torch.ones(1, *shape[1:])
        support[..., -1] = 0
        return support

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Bent(Operator):
    """A coarser grid and no linearity."""

    name: ClassVar[str] = "bent"

    def forward(self, x: Tensor) -> Tensor:
        return functional.avg_pool2d(x, 2).square()

    def truth_shape(self, shape: Shape) -> Shape:
        return (shape[0], 2 * shape[1], 2 * shape[2])

    def __str__(self) -> str:
        return self.name


def truth(*shape: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).uniform(0.15, 0.85, shape))


def term(operator: Operator, noise, x: Tensor, seed: int = 1) -> DataTerm:
    return DataTerm(operator, noise.sample(operator.forward(x), np.random.default_rng(seed)), noise)


def slope(function, x: Tensor, direction: Tensor, step: float = 1e-6) -> Tensor:
    """Central difference along a direction, per item."""
    return (function(x + step * direction) - function(x - step * direction)) / (2 * step)


def inner(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).flatten(1).sum(1)


@pytest.mark.parametrize("noise", NOISES, ids=str)
@pytest.mark.parametrize("operator", [Halved(), Clip(1.0), Bent()], ids=str)
def test_consistency_of_the_truth_is_about_one(operator, noise):
    x = truth(2, 3, 128, 128)
    data = term(operator, noise, x)
    assert data.consistency(x).tolist() == pytest.approx([1, 1], abs=0.06)


@pytest.mark.parametrize("noise", NOISES, ids=str)
def test_copies_of_one_measurement_are_no_more_data(noise):
    x = truth(1, 1, 16, 16)
    one = term(Halved(), noise, x)
    x = x.expand(1, 3, 16, 16)
    three = DataTerm(Halved(), one.y.expand(1, 3, 8, 8), noise, copies=3)

    variance, single = (torch.as_tensor(d.variance_at(x)) for d in (three, one))
    assert torch.allclose(variance, 3 * single)
    assert float(three.consistency(x)) == pytest.approx(float(one.consistency(x[:, :1])))
    gradient, square = three.gradient(x)[1], one.gradient(x[:, :1])[1]
    assert torch.allclose(gradient, square.expand_as(gradient))  # W is the same: s² is what is three times as much


@pytest.mark.parametrize("noise, assumed", [(GaussianNoise(0.1), NOISES[0]), (PoissonNoise(7.5), NOISES[1])], ids=str)
def test_consistency_tells_twice_the_noise(noise, assumed):
    x = truth(1, 3, 128, 128)
    data = DataTerm(Halved(), term(Halved(), noise, x).y, assumed)
    assert float(data.consistency(x)) == pytest.approx(4, abs=0.3)


def test_rounding_alone_is_consistent_with_no_noise():
    x = truth(1, 3, 128, 128)
    data = DataTerm(Halved(), (255 * Halved().forward(x)).round() / 255, GaussianNoise(0))
    assert data.noise_std == ROUNDING
    assert float(data.consistency(x)) == pytest.approx(1, abs=0.06)


@pytest.mark.parametrize("noise", NOISES, ids=str)
def test_noise_std_is_that_of_the_noise_at_the_truth(noise):
    x = truth(1, 3, 128, 128)
    data = term(Halved(), noise, x)
    assert data.noise_std == pytest.approx(noise.typical_std(Halved().forward(x)[..., :-1]), rel=0.02)


@pytest.mark.parametrize("noise", NOISES, ids=str)
def test_values_outside_the_support_are_not_looked_at(noise):
    x, v = truth(1, 1, 16, 16), truth(1, 1, 16, 16, seed=2)
    data = term(Halved(), noise, x)
    other = DataTerm(Halved(), data.y + 7 * (1 - Halved().support((1, 8, 8))), noise)
    assert data.measured == other.measured == 56
    assert data.noise_std == other.noise_std
    for a, b in zip(data.gradient(v), other.gradient(v), strict=True):
        torch.testing.assert_close(a, b)
    torch.testing.assert_close(data.prox(v, 0.1), other.prox(v, 0.1))
    torch.testing.assert_close(data.residual(v), other.residual(v))
    torch.testing.assert_close(data.consistency(v), other.consistency(v))
    assert float(other.residual(v)[..., -1].abs().max()) == 0


@pytest.mark.parametrize("noise", NOISES, ids=str)
@pytest.mark.parametrize("given", [False, True])
def test_gradient_of_the_weighted_prox_objective_vanishes(noise, given):
    sigma, x, v = 0.2, truth(2, 3, 12, 10), truth(2, 3, 12, 10, seed=2)
    data = term(Halved(), noise, x)
    estimate = x if given else v
    found = data.prox(v, sigma, x if given else None).requires_grad_()
    clean = Halved().forward(estimate)
    variance, bias = noise.variance(clean), noise.bias(clean)
    variance = torch.full_like(clean, noise.typical_std(clean) ** 2) if variance is None else variance
    rest = (Halved().forward(found) - data.y + (0 if bias is None else bias))[..., :-1]
    objective = (rest.square() / variance[..., :-1]).sum() / 2 + (found - v).square().sum() / (2 * sigma**2)
    (gradient,) = torch.autograd.grad(objective, found)
    # the precision of conjugate gradients, against the gradient at v
    assert float(gradient.norm()) < 1e-4 * float((found - v).detach().norm() / sigma**2)


def test_prox_at_its_own_estimate_solves_the_poisson_problem():
    """Fisher scoring: the limit is stationary for the Poisson likelihood itself, not for a Gaussian in its place."""
    sigma, x = 0.2, truth(1, 1, 16, 16)
    data = term(Halved(), PoissonNoise(200), x)
    found = x
    for _ in range(12):
        found = data.prox(x, sigma, found)
    found = found.requires_grad_()
    rate, counts = 200 * Halved().forward(found)[..., :-1], 200 * data.y[..., :-1]
    objective = (rate - counts * rate.log()).sum() + (found - x).square().sum() / (2 * sigma**2)
    (gradient,) = torch.autograd.grad(objective, found)
    assert float(gradient.norm()) < 1e-4 * float((found - x).detach().norm() / sigma**2)


def test_weights_stay_in_their_range():
    """A black estimate would make a value certain."""
    x = truth(1, 1, 16, 16)
    data = term(Halved(), PoissonNoise(30), x)
    black = torch.zeros_like(x)
    rest = data.residual(black).square().flatten(1).sum(1)
    torch.testing.assert_close(data.gradient(black)[0], WEIGHTS[1] * rest)
    assert bool(data.prox(black, 0.1).isfinite().all())


@pytest.mark.parametrize("operator", [Halved(), Clip(1.5), Bent()], ids=str)
def test_gradient_agrees_with_finite_differences(operator):
    x, v, direction = (truth(2, 3, 8, 6, seed=s) for s in range(3))
    data = term(operator, GaussianNoise(0.05), x)
    for way in (data.gradient, data.norm_gradient):
        torch.testing.assert_close(inner(way(v)[1], direction), slope(lambda u, way=way: way(u)[0], v, direction))
    torch.testing.assert_close(data.gradient(v)[0], data.residual(v).square().flatten(1).sum(1))
    torch.testing.assert_close(data.norm_gradient(v)[0].square(), data.gradient(v)[0])


@pytest.mark.parametrize("noise", NOISES[1:], ids=str)
@pytest.mark.parametrize("operator", [Halved(), Clip(1.5)], ids=str)
def test_gradient_holds_the_weights(operator, noise):
    x, v, direction = (truth(2, 3, 8, 6, seed=s) for s in range(3))
    data = term(operator, noise, x)
    clean = operator.forward(v)
    weight, bias = (data.noise_std**2 / noise.variance(clean)).clamp(*WEIGHTS), noise.bias(clean)
    target = data.y if bias is None else data.y - bias
    support = operator.support(tuple(data.y.shape[1:]))

    def value(u: Tensor) -> Tensor:
        rest = (operator.forward(u) - target) * (1 if support is None else support)
        return (weight * rest.square()).flatten(1).sum(1)

    torch.testing.assert_close(data.gradient(v)[0], value(v))
    torch.testing.assert_close(inner(data.gradient(v)[1], direction), slope(value, v, direction))
    torch.testing.assert_close(data.norm_gradient(v)[0], data.residual(v).flatten(1).norm(dim=1))  # without weights


def test_items_of_a_batch_are_independent():
    x, v = truth(2, 3, 8, 6), truth(2, 3, 8, 6, seed=1)
    for operator in (Halved(), Clip()):
        data = term(operator, GaussianNoise(0.05), x)
        one = DataTerm(operator, data.y[1:], data.noise)
        for way in ("gradient", "norm_gradient"):
            for both, alone in zip(getattr(data, way)(v), getattr(one, way)(v[1:]), strict=True):
                torch.testing.assert_close(both[1:], alone)


def test_the_norm_has_no_gradient_where_it_is_zero():
    x = truth(1, 1, 8, 8)
    for operator in (Halved(), Clip(0.5)):
        norm, gradient = DataTerm(operator, operator.forward(x), GaussianNoise(0)).norm_gradient(x)
        assert float(norm) == 0
        assert float(gradient.abs().max()) == 0


def test_gradient_does_not_touch_the_callers_graph():
    x = truth(1, 1, 8, 8).requires_grad_()
    for operator in (Halved(), Clip()):
        with torch.no_grad():
            value, gradient = term(operator, GaussianNoise(0.05), x).gradient(x)
        assert not value.requires_grad
        assert not gradient.requires_grad
        assert x.grad is None


def test_start():
    x = truth(2, 3, 8, 6)
    linear = term(Halved(), GaussianNoise(0), x)
    assert linear.linear
    torch.testing.assert_close(Halved().forward(linear.start()), linear.y, rtol=1e-3, atol=1e-3)
    clipped = term(Clip(), GaussianNoise(0), x)
    assert not clipped.linear
    assert torch.equal(clipped.start(), clipped.y)
    grown = term(Bent(), GaussianNoise(0), torch.full_like(x, 0.5)).start()
    torch.testing.assert_close(grown, torch.full_like(x, 0.25))


def test_an_operator_without_a_proximal_map_is_refused():
    x = truth(1, 3, 8, 8)
    with pytest.raises(InputError, match=r"needs a proximal map, and .*hdr:gain=2 has none"):
        term(parse_operator("inpaint:keep=0.5 + hdr:gain=2"), GaussianNoise(0.05), x).prox(x, 0.1)


def test_clipped_noise_of_a_dark_picture_is_no_reason_for_an_alarm():
    dark = torch.full((1, 3, 64, 64), 0.01)
    y = (dark + 0.05 * torch.randn(dark.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    data = DataTerm(parse_operator("inpaint:keep=1"), y, GaussianNoise(0.05))
    assert float(data.consistency(dark)[0]) < 0.8
    assert float(data.consistency(dark, stored=True)[0]) == pytest.approx(1, abs=0.03)
