"""Laws that every operator obeys. A new one is tested by a line in `EXAMPLES`."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from veriscale.physics.downsample import Downsample
from veriscale.physics.operator import LinearOperator
from veriscale.physics.registry import OPERATORS, parse_operator

AFFINE = np.array([[0.0, 0, -0.7, 5], [0, 1.0, 0, -3], [0.9, 0, 0, 2], [0, 0, 0, 1]])  # 0.9, 1 and 0.7 mm
ODD, WIDE, EVEN, VOLUME = (1, 11, 7), (2, 6, 13), (1, 12, 10), (1, 5, 9, 6)
# string, and the shape of the truth
EXAMPLES = [
    ("downsample:factor=4", EVEN),
    ("downsample:factor=3,kernel=box", ODD),
    ("downsample:factor=2.5,kernel=lanczos3", WIDE),
    ("downsample:factor=4x1,kernel=gaussian", ODD),
    ("downsample:factor=1,kernel=gaussian", EVEN),
    ("downsample:factor=1.3x2,kernel=bicubic", VOLUME),
    ("denoise", ODD),
    ("denoise", VOLUME),
    ("denoise + hdr:gain=2", EVEN),
    ("blur:kernel=gaussian,std=1", ODD),
    ("blur:kernel=gaussian,std=3", WIDE),
    ("blur:kernel=anisotropic,std=20x1,angle=45", EVEN),
    ("blur:kernel=gaussian,std=1.5,boundary=reflect", WIDE),
    ("blur:kernel=anisotropic,std=3x0.7,angle=-30.5,boundary=reflect", ODD),
    ("blur:kernel=kernel.npy", EVEN),
    ("blur:kernel=kernel.npy,boundary=reflect", ODD),
    ("blur:kernel=gaussian,std=0.8", VOLUME),
    ("inpaint:keep=0.5,seed=0", ODD),
    ("inpaint:keep=0.01,seed=3", VOLUME),
    ("inpaint:keep=1", WIDE),
    ("inpaint:mask=mask.png", EVEN),
    ("inpaint:box=4", WIDE),
    ("sensing:ratio=0.5,seed=0", ODD),
    ("sensing:ratio=0.1,seed=7", WIDE),
    ("slice:fwhm=4,step=4,axis=2", VOLUME),
    ("slice:fwhm=0.1,step=1.5,axis=1", VOLUME),
    ("slice:fwhm=2,step=2,axis=0", EVEN),
    ("fourier:accel=4,centre=0.08,seed=0", ODD),
    ("fourier:accel=2.5,centre=0.3,seed=1", EVEN),
    ("fourier:accel=1,centre=1", WIDE),
    ("blur:kernel=gaussian,std=1 + downsample:factor=2", EVEN),
    ("inpaint:box=6 + downsample:factor=3,kernel=box", EVEN),
    ("downsample:factor=1.5 + inpaint:keep=0.5 + inpaint:box=2", EVEN),
    ("blur:kernel=anisotropic,std=3x0.5,angle=30,boundary=reflect + inpaint:mask=mask.png + fourier:accel=2", EVEN),
    ("slice:fwhm=2,step=1.4,axis=2 + slice:fwhm=3,step=2,axis=1", VOLUME),
    ("hdr:gain=2", ODD),
    ("nonlinear-blur:seed=0", EVEN),
    ("jpeg:quality=40", ODD),
    ("downsample:factor=2 + jpeg:quality=70", EVEN),
    ("inpaint:keep=0.7,seed=2 + hdr:gain=3.5", WIDE),
    ("hdr:gain=0.3 + inpaint:keep=0.7 + inpaint:box=2", WIDE),
]


@dataclass
class Case:
    """An operator bound to a grid, and shapes without the batch that belong together."""

    operator: object
    x: tuple[int, ...]
    y: tuple[int, ...]

    def random(self, shape, seed=0, dtype=torch.float64):
        return torch.randn(2, *shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)

    def matrix(self, function, shape):
        """Of a linear function, as (one column after another, one row for each input value)."""
        n = math.prod(shape[1:])
        eye = torch.eye(n, dtype=torch.float64).reshape(n, 1, *shape[1:])
        return function(eye).reshape(n, -1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write_files(tmp_path_factory.mktemp("a folder, with a comma"))


def write_files(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    kernel = np.random.default_rng(0).random((5, 4)) - 0.1  # even, not symmetric, partly negative
    np.save(folder / "kernel.npy", kernel)
    mask = np.random.default_rng(1).random(EVEN[1:]) < 0.4
    Image.fromarray(mask.astype(np.uint8)).save(folder / "mask.png")
    return folder


def case(text, shape, folder) -> Case:
    operator = parse_operator(text, folder).bind(AFFINE)
    y = operator.measurement_shape(shape)
    return Case(operator, operator.truth_shape(y), y)


every = pytest.mark.parametrize("text, shape", EXAMPLES)
linear = pytest.mark.parametrize(
    "text, shape", [e for e in EXAMPLES if not any(name in e[0] for name in ("hdr", "nonlinear", "jpeg"))]
)


def test_every_operator_has_an_example():
    shown = {part.partition(":")[0] for text, _ in EXAMPLES for part in text.split(" + ")}
    assert shown == set(OPERATORS)
    assert all(OPERATORS[name].name == name for name in OPERATORS)


@every
def test_string_to_operator_to_string(text, shape, folder):
    operator = parse_operator(text, folder)
    again = parse_operator(str(operator))
    assert again == operator
    assert hash(again) == hash(operator)
    assert str(again) == str(operator)


@every
def test_shapes_round_trip(text, shape, folder):
    c = case(text, shape, folder)
    assert c.operator.measurement_shape(c.x) == c.y
    assert all(n <= m for n, m in zip(c.x, shape, strict=True))
    y = c.operator.forward(c.random(c.x).clamp(0, 1)[:, :1])
    assert y.shape == (2, 1, *c.y[1:])


@every
def test_types_stay(text, shape, folder):
    c = case(text, shape, folder)
    for dtype in (torch.float32, torch.float64):
        x = c.random(c.x, dtype=dtype)[:, :1]
        y = c.operator.forward(x)
        assert y.dtype == c.operator.measure(x).dtype == dtype
        if isinstance(c.operator, LinearOperator):
            weight = torch.rand_like(y) + 0.5
            made = [c.operator.adjoint(y), c.operator.pinv(y), c.operator.prox(x, y, 0.1)]
            made.append(c.operator.prox(x, y, 0.1, weight))
            assert {m.dtype for m in made} == {dtype}
            assert {m.shape for m in made} == {x.shape}


@every
def test_support_is_where_a_measurement_can_be_other_than_zero(text, shape, folder):
    c = case(text, shape, folder)
    support = c.operator.support(c.y)
    y = c.operator.forward(0.5 + c.random(c.x)).abs().amax((0, 1))
    inside = torch.ones(c.y[1:], dtype=torch.bool) if support is None else support.bool().expand(c.y)[0]
    assert float(torch.where(inside, 0, y).max()) <= 1e-12
    if isinstance(c.operator, LinearOperator):  # what a non-linear one makes of black is a value, too
        assert bool((y[inside] > 1e-12).all())


@every
def test_forward_has_a_gradient(text, shape, folder):
    c = case(text, shape, folder)
    x = (0.5 + 0.1 * c.random(c.x))[:, :1].requires_grad_()
    y = c.operator.forward(x)
    rest = c.random(c.y, 1)[:, :1]
    (gradient,) = torch.autograd.grad((y * rest).sum(), x)
    assert bool(torch.isfinite(gradient).all())
    assert float(gradient.abs().max()) > 0
    if isinstance(c.operator, LinearOperator):
        torch.testing.assert_close(gradient, c.operator.adjoint(rest), atol=1e-10, rtol=0)


@linear
def test_adjoint(text, shape, folder):
    assert adjoint_error(case(text, shape, folder)) < 1e-10


def adjoint_error(c: Case) -> float:
    x, y = c.random(c.x), c.random(c.y, 1)
    support = c.operator.support(c.y)
    y = y if support is None else y * support
    ax, aty = c.operator.forward(x), c.operator.adjoint(y)
    return abs(float((ax * y).sum() - (x * aty).sum())) / float(ax.norm() * y.norm())


def test_a_broken_adjoint_is_caught():
    class Broken(Downsample):
        def adjoint(self, y):
            return super().adjoint(y).roll(1, -1)

    assert adjoint_error(Case(Broken(2), (1, 8, 8), (1, 4, 4))) > 1e-3


@linear
def test_what_is_not_measured_is_not_looked_at(text, shape, folder):
    c = case(text, shape, folder)
    support = c.operator.support(c.y)
    if support is None:
        return
    y, v = c.random(c.y, 1), c.random(c.x)
    weight = torch.rand_like(y) + 0.5
    for function in (
        c.operator.adjoint,
        c.operator.pinv,
        lambda y: c.operator.prox(v, y, 0.1),
        lambda y: c.operator.prox(v, y, 0.1, weight),
    ):
        torch.testing.assert_close(function(y), function(y * support), atol=1e-7, rtol=0)


@linear
def test_pseudo_inverse(text, shape, folder):
    c = case(text, shape, folder)
    a = c.matrix(c.operator.forward, c.x)
    again = c.matrix(lambda x: c.operator.forward(c.operator.pinv(c.operator.forward(x))), c.x)
    assert torch.linalg.matrix_norm(again - a, 2) <= c.operator.rcond * torch.linalg.matrix_norm(a, 2)


@linear
def test_norm_is_the_largest_singular_value(text, shape, folder):
    c = case(text, shape, folder)
    found = float(torch.linalg.matrix_norm(c.matrix(c.operator.forward, c.x), 2))
    assert c.operator.norm(c.x) == pytest.approx(found, rel=1e-4)


@linear
@pytest.mark.parametrize("rho", [1e-4, 1e-2, 1.0, 30.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_gradient_of_the_prox_objective_vanishes(text, shape, folder, rho, weighted):
    c = case(text, shape, folder)
    v, y = c.random(c.x), c.random(c.y, 1)
    weight = torch.exp(1.5 * c.random(c.y, 2)).clamp(0.01, 100) if weighted else None
    w = torch.ones_like(y) if weight is None else weight
    x = c.operator.prox(v, y, rho, weight)
    gradient = c.operator.adjoint(w * (c.operator.forward(x) - y)) + rho * (x - v)
    scale = c.operator.adjoint(w * (c.operator.forward(v) - y)).norm()
    assert float(gradient.norm() / scale) < 1e-5


@linear
def test_single_precision_is_near_double(text, shape, folder):
    c = case(text, shape, folder)
    v, y = c.random(c.x), c.random(c.y, 1)
    weight = torch.exp(c.random(c.y, 2))
    for w in (None, weight):
        x = c.operator.prox(v, y, 1e-3, w)
        single = c.operator.prox(v.float(), y.float(), 1e-3, None if w is None else w.float())
        assert float((single - x).norm() / x.norm()) < 2e-3
