"""Somebody's own operator: functions that are believed once they are linear and each other's adjoints."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from veriscale.errors import InputError
from veriscale.imaging.photo import Photo
from veriscale.physics.blur import Blur
from veriscale.physics.composition import compose
from veriscale.physics.cosine import cosine_transform
from veriscale.physics.data_term import DataTerm
from veriscale.physics.inpaint import Inpaint
from veriscale.physics.measurement_noise import GaussianNoise
from veriscale.physics.own_operator import check_own, operator_from
from veriscale.physics.registry import parse_operator
from veriscale.traversal.splitting import splitting_for
from veriscale.workflows.degrading.degradation import degrade
from veriscale.workflows.restoring.measured_picture import truth_shape

SHAPE = (3, 24, 20)
TAPS = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16


def smooth(x):
    """Five taps along both axes, half-sample symmetric."""
    for axis, pad in ((-1, (2, 2, 0, 0)), (-2, (0, 0, 2, 2))):
        x = torch.cat([x.narrow(axis, 0, 2).flip(axis), x, x.narrow(axis, x.shape[axis] - 2, 2).flip(axis)], axis)
        x = sum(t * x.narrow(axis, k, x.shape[axis] - 4) for k, t in enumerate(TAPS))
        assert pad
    return x


def halve(x):
    return functional.avg_pool2d(x, 2)


def own(forward=smooth, **stated):
    return operator_from(forward, **{"name": "lens", "version": "1", **stated})


def halved(**stated):
    shapes = {
        "measurement_shape": lambda s: (s[0], s[1] // 2, s[2] // 2),
        "truth_shape": lambda s: (s[0], 2 * s[1], 2 * s[2]),
    }
    return own(halve, **{**shapes, **stated})


@pytest.mark.parametrize("operator", [own(), halved()], ids=["blur", "halves"])
def test_an_adjoint_by_differentiation(operator):
    operator.check(SHAPE)
    x = torch.randn(2, *SHAPE, dtype=torch.float64)
    image = operator.forward(x)
    y = torch.randn(image.shape, dtype=torch.float64)
    assert float((image * y).sum()) == pytest.approx(float((x * operator.adjoint(y)).sum()), rel=1e-5)
    assert image.dtype == torch.float64


def test_it_is_the_registry_s_blur(tmp_path):
    np.save(tmp_path / "k.npy", (TAPS[:, None] * TAPS[None, :]).numpy())
    known, mine = Blur(kernel=str(tmp_path / "k.npy"), boundary="reflect"), own()
    x, y, v = torch.rand(3, 1, *SHAPE)
    assert torch.allclose(known.forward(x), mine.forward(x), atol=1e-6)
    assert torch.allclose(known.adjoint(y), mine.adjoint(y), atol=1e-6)
    assert mine.norm(SHAPE) == pytest.approx(known.norm(SHAPE), rel=1e-3)
    for rho in (1e-3, 1e-1):
        assert float((known.prox(v, y, rho) - mine.prox(v, y, rho)).norm() / v.norm()) < 1e-4


def steps(operator, monkeypatch, plain=False):
    """How often the operator is applied in one solve, once it is known."""
    y, v = torch.rand(2, 1, *SHAPE)
    operator.prox(v, y, 1e-3)
    count = 0
    forward = type(operator).forward

    def counted(self, x):
        nonlocal count
        count += 1
        return forward(self, x)

    monkeypatch.setattr(type(operator), "forward", counted)
    if plain:
        monkeypatch.setattr(type(operator), "precondition", lambda self, r, rho, w: r)
    operator.prox(v, y, 1e-3)
    monkeypatch.undo()
    return count


def test_a_blur_is_preconditioned_by_itself(monkeypatch):
    assert steps(own(), monkeypatch) <= 4
    assert steps(own(), monkeypatch, plain=True) > 30


def test_what_is_not_diagonal_is_left_alone():
    mask = torch.rand(1, *SHAPE[1:], generator=torch.Generator().manual_seed(0)) < 0.5
    operator = own(lambda x: x * mask)
    r = torch.rand(1, *SHAPE)
    assert torch.equal(operator.precondition(r, 0.1, torch.ones(())), r)


def test_cosines_are_an_orthonormal_basis():
    x = torch.rand(2, 3, 9, 7, dtype=torch.float64)
    z = cosine_transform(x)
    assert torch.allclose(z.norm(), x.norm())
    assert torch.allclose(cosine_transform(z, inverse=True), x)


def test_weights_go_into_the_solution():
    operator = own()
    y, v = torch.rand(2, 1, *SHAPE, dtype=torch.float64)
    w = torch.rand(1, *SHAPE, dtype=torch.float64) + 0.5
    x = operator.prox(v, y, 0.1, w)
    gradient = operator.adjoint(w * (operator.forward(x) - y)) + 0.1 * (x - v)
    assert float(gradient.norm() / v.norm()) < 1e-4


def test_in_a_composition():
    both = compose([own(), Inpaint(keep=0.5)])
    check_own(both, SHAPE)
    assert str(both) == "own:name=lens,version=1 + inpaint:keep=0.5,seed=0"
    with pytest.raises(InputError, match="adjoint is none"):
        check_own(compose([own(adjoint=lambda y: 2 * smooth(y)), Inpaint(keep=0.5)]), SHAPE)


MIX = torch.tensor([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]])


def test_colours_may_be_mixed_in_a_composition():
    mix = own(lambda x: torch.einsum("ij,bjhw->bihw", MIX, x))
    holes = Inpaint(keep=0.5)
    for both in (compose([mix, holes]), compose([holes, mix])):
        check_own(both, SHAPE)
        assert both.norm(SHAPE) == pytest.approx(1, rel=1e-3)
        known = holes.support(SHAPE).expand(SHAPE)
        assert torch.equal(both.support(SHAPE).bool().expand(SHAPE), known.bool())
        x = torch.rand(1, *SHAPE)
        data = DataTerm(both, both.forward(x), GaussianNoise(0.01))
        assert data.measured == int(known.sum())
        assert splitting_for(data, SHAPE).sigmas


def test_names_and_versions():
    assert str(own(name="my-lens_2", version="1.0")) == "own:name=my-lens_2,version=1.0"


def test_its_string_names_it_and_makes_none():
    assert str(own()) == "own:name=lens,version=1"
    with pytest.raises(InputError, match="'lens' is made of somebody's own functions"):
        parse_operator(str(own()))


def network():
    """A blur as a network, whose weights ask for gradients."""
    blur = torch.nn.Conv2d(3, 3, 3, padding=1, groups=3, bias=False)
    torch.nn.init.constant_(blur.weight, 1 / 9)
    return blur


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("adjoint", [None, network()])
def test_a_network_is_an_operator(adjoint):
    operator = own(network(), adjoint=adjoint)
    operator.check(SHAPE)
    x = torch.rand(1, *SHAPE)
    for made in (operator.forward(x), operator.adjoint(x), operator.prox(x, x, 0.1)):
        assert not made.requires_grad
    assert operator.norm(SHAPE) > 0.9
    x.requires_grad_()
    operator.forward(x).sum().backward()
    assert x.grad is not None


def test_a_network_measures_a_photograph():
    photo = Photo(np.random.default_rng(0).random((24, 20, 3), np.float32))
    assert degrade(photo, own(network()), 0.01).pixels.shape == (24, 20, 3)
    both = compose([own(network()), Inpaint(keep=0.5)])
    assert degrade(photo, both, 0.01).pixels.shape == (24, 20, 3)


def test_a_function_may_change_its_argument_in_place():
    operator, x = own(lambda x: x.mul_(0.5)), torch.rand(1, *SHAPE)
    before = x.clone()
    operator.check(SHAPE)
    assert torch.equal(operator.forward(x), before / 2)
    assert torch.equal(x, before)


WEIGHT = torch.nn.Parameter(torch.tensor(0.5))


def still(x):
    """Halves, and leaves x out of the graph."""
    return WEIGHT * x.detach()


def test_what_is_not_linear_can_follow_a_function_without_gradients():
    operator = compose([own(still, adjoint=lambda y: 0.5 * y), parse_operator("hdr:gain=2")])
    x = torch.full((1, *SHAPE), 0.9)
    data = DataTerm(operator, torch.zeros(1, *SHAPE), GaussianNoise(0.1))
    assert torch.allclose(data.gradient(x)[1], torch.full_like(x, 0.8))  # of (x − ½)²


def test_derivatives_are_the_operator_s_own():
    without, plain = own(still, adjoint=lambda y: 0.5 * y), own(lambda x: 0.5 * x)
    v = torch.rand(1, *SHAPE, generator=torch.Generator().manual_seed(0))
    for transform in (torch.func.jvp, lambda f, x, u: torch.func.vjp(f, *x)[1](*u)):
        assert torch.equal(*(torch.as_tensor(transform(a.forward, (v,), (v,))[-1]) for a in (without, plain)))
    one, two = (compose([a, parse_operator("jpeg:quality=80")]) for a in (without, plain))
    y = two.forward(v)
    assert torch.equal(one.prox(v, y, 0.1), two.prox(v, y, 0.1))


def unlike(x):
    """Overwrites what its gradient would need."""
    out = x.exp()
    y = out * x
    out.zero_()
    return y


def greyed(**stated):
    shapes = {"measurement_shape": lambda s: (1, *s[1:]), "truth_shape": lambda s: (3, *s[1:])}
    return own(lambda x: x.mean(1, keepdim=True), **{**shapes, **stated})


def test_another_number_of_channels_is_refused():
    photo = Photo(np.full((24, 20, 3), 0.5, np.float32))
    for grey in (greyed(), compose([greyed(), Inpaint(keep=0.5)]), compose([Inpaint(keep=0.5), greyed()])):
        with pytest.raises(InputError, match=r"answers \(3, 24, 20\) with \(1, 24, 20\); x and y have the same number"):
            degrade(photo, grey, 0.01)
        with pytest.raises(InputError, match="x and y have the same number of channels"):
            truth_shape(grey, photo.with_pixels(photo.pixels[..., :1]))


def test_a_photograph_that_it_takes_in_part():
    assert degrade(Photo(np.full((25, 21, 3), 0.5, np.float32)), halved(), 0.01).pixels.shape == (12, 10, 3)


@pytest.mark.parametrize(
    "stated, words",
    [
        ({"adjoint": lambda y: 2 * smooth(y)}, "adjoint is none.*differ by"),
        ({"adjoint": lambda y: y[..., 1:]}, r"adjoint answers \(2, 3, 24, 20\) with \(2, 3, 24, 19\)"),
        ({"forward": lambda x: x + 1}, "is not linear"),
        ({"forward": lambda x: x.clamp(0, 1)}, "is not linear"),
        ({"forward": lambda x: x[..., 1:]}, "stated is"),
        ({"forward": lambda x: x * float("nan")}, "not finite"),
        ({"forward": lambda x: x.numpy()}, "gives ndarray"),
        ({"forward": lambda x: x.int()}, r"gives a tensor of torch\.int32, and a tensor of floating"),
        ({"forward": lambda x: torch.fft.fft2(x)}, r"gives a tensor of torch\.complex64"),
        ({"forward": lambda x: x @ x}, "its forward fails for"),
        ({"forward": torch.no_grad()(smooth)}, "cannot be differentiated; give `adjoint`"),
        ({"forward": lambda x: 0 * x}, "gives 0 for every picture, so that it measures nothing"),
        ({"forward": lambda x: 1e-30 * x}, "gives 0 for every picture"),
        ({"forward": still}, "gives no gradient in x, only in weights; give `adjoint`"),
        ({"forward": unlike}, "cannot be differentiated .*inplace operation.*; give `adjoint`"),
        ({"name": "a,b"}, "name cannot be 'a,b'; use a string of letters, digits, dashes, dots and _"),
        ({"name": "a b"}, "name cannot be 'a b'; use a string of letters"),
        ({"version": "1\n"}, r"version cannot be '1\\n'; use a string of letters"),
        ({"version": "2/3"}, "version cannot be '2/3'; use a string of letters"),
        ({"version": ""}, "version cannot be ''"),
        ({"name": 7}, "name cannot be 7"),
        ({"version": None}, "version cannot be None"),
        ({"forward": 3}, "`forward` is a function, not 3"),
        ({"adjoint": "lens"}, "`adjoint` is a function, not 'lens'"),
        ({"truth_shape": (3, 8, 8)}, r"truth_shape` is a function, not \(3, 8, 8\)"),
        ({"picture": None}, "`picture` is True or False, not None"),
        ({"shape": 3}, r"`shape` is \(C, H, W\).*not 3"),
        ({"shape": (3, 0, 8)}, r"`shape` is \(C, H, W\).*not \(3, 0, 8\)"),
        ({"measurement_shape": lambda s: 1 // 0}, r"shape` fails for \(3, 24, 20\).*ZeroDivisionError"),
        ({"measurement_shape": lambda s: "wide"}, r"answers \(3, 24, 20\) with 'wide'"),
        ({"measurement_shape": lambda s: (3, 2.5, 20)}, r"with \(3, 2\.5, 20\); \(C, H, W\) of whole"),
        ({"truth_shape": lambda s: s[1:]}, r"answers \(3, 24, 20\) with \(24, 20\)"),
    ],
)
def test_bad_operators(stated, words):
    with pytest.raises(InputError, match=words):
        own(**{"shape": SHAPE, **stated})
