"""Operators that only know how to go forward: clipping, blur in linear light, JPEG."""

import numpy as np
import pytest
import torch

from veriscale.errors import InputError
from veriscale.imaging.read import read_photo
from veriscale.physics.hdr import Clip
from veriscale.physics.jpeg import Jpeg
from veriscale.physics.nonlinear_blur import SUPPORT, NonlinearBlur, from_light, motion_kernel, to_light

OPERATORS = [Clip(), Clip(3.5), NonlinearBlur(), NonlinearBlur(3), Jpeg(), Jpeg(90)]
SMOOTH = [operator for operator in OPERATORS if not isinstance(operator, Jpeg)]


def picture(*shape: int, seed: int = 0, low: float = 0.0, high: float = 1.0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).uniform(low, high, shape))


def photograph(folder, name: str) -> torch.Tensor:
    return torch.from_numpy(read_photo(folder / name).pixels[100:343, 100:297]).permute(2, 0, 1)[None]


def smooth(channels: int) -> torch.Tensor:
    rows, columns = torch.linspace(0, 1, 61)[:, None], torch.linspace(0, 1, 45)
    luma = 0.2 + 0.6 * rows * columns
    tints = [0 * columns, 0.05 * torch.sin(2 * rows + columns), 0.05 * rows]  # too strong ones are not smooth at 4:2:0
    return torch.stack([luma + tint for tint in tints[:channels]])[None]


@pytest.mark.parametrize("operator", OPERATORS, ids=str)
@pytest.mark.parametrize("shape", [(1, 1, 16, 16), (2, 3, 7, 13), (1, 3, 1, 5), (1, 1, 33, 18)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_shape_and_type_survive(operator, shape, dtype):
    x = picture(*shape).to(dtype)
    for y in (operator.forward(x), operator.measure(x)):
        assert y.shape == shape
        assert y.dtype == dtype
        assert bool(y.isfinite().all())
    assert operator.measurement_shape(shape[1:]) == operator.truth_shape(shape[1:]) == shape[1:]


@pytest.mark.parametrize("operator", OPERATORS, ids=str)
def test_items_of_a_batch_are_independent(operator):
    x = picture(3, 3, 21, 34)
    for way in (operator.forward, operator.measure):
        alone = torch.cat([way(item[None]) for item in x])
        torch.testing.assert_close(way(x), alone, rtol=0, atol=1e-12)


@pytest.mark.parametrize("operator", SMOOTH, ids=str)
def test_gradient_is_that_of_finite_differences(operator):
    """Values below 0, in the toe, and above 1 included, none within a step of a kink."""
    x = picture(1, 1, 9, 8, low=-0.3, high=1.3)
    for kink in (0.02, 0.25, 0.75, 0.5 - 0.5 / 3.5, 0.5 + 0.5 / 3.5):
        x = torch.where((x - kink).abs() < 1e-4, x + 1e-3, x)
    assert torch.autograd.gradcheck(operator.forward, x.requires_grad_(), eps=1e-6, atol=1e-6)


@pytest.mark.parametrize("operator", OPERATORS, ids=str)
def test_gradient_is_finite_where_all_is_black(operator):
    x = torch.zeros(1, 1, 32, 32, requires_grad=True)
    operator.forward(x).sum().backward()
    assert bool(x.grad.isfinite().all())


def test_clip_at_both_ends():
    x = torch.tensor([-1.0, 0.0, 0.2, 0.25, 0.5, 0.7, 0.75, 0.9, 2.0]).view(1, 1, 1, -1)
    expected = torch.tensor([0.0, 0.0, 0.0, 0.0, 0.5, 0.9, 1.0, 1.0, 1.0]).view(1, 1, 1, -1)
    torch.testing.assert_close(Clip(2.0).forward(x), expected)


def test_clip_is_the_papers_on_their_range():
    x = picture(1, 3, 8, 8)
    torch.testing.assert_close(2 * Clip(2.0).forward(x) - 1, (2 * (2 * x - 1)).clamp(-1, 1))


@pytest.mark.parametrize("seed", range(4))
def test_motion_kernel_is_a_centred_density(seed):
    kernel, offset = motion_kernel(seed), np.arange(SUPPORT) - SUPPORT // 2
    assert kernel.shape == (SUPPORT, SUPPORT)
    assert kernel.min() >= 0
    assert kernel.sum() == pytest.approx(1)
    assert np.abs([offset @ kernel.sum(1), offset @ kernel.sum(0)]).max() < 1e-9
    assert np.count_nonzero(kernel) > 30
    assert np.array_equal(kernel, motion_kernel(seed))
    assert not np.array_equal(kernel, motion_kernel(seed + 1))


def test_light_is_the_power_law_with_an_exact_inverse():
    x = torch.linspace(0.02, 1.5, 50, dtype=torch.float64)
    torch.testing.assert_close(to_light(x), x**2.2)
    x = torch.linspace(-1, 2, 101, dtype=torch.float64)
    torch.testing.assert_close(from_light(to_light(x)), x)
    assert bool((to_light(x).diff() > 0).all())


def test_nonlinear_blur_agrees_with_scipy_in_linear_light():
    ndimage = pytest.importorskip("scipy.ndimage")
    x = picture(1, 1, 40, 31, low=0.05)
    light = ndimage.convolve(x[0, 0].numpy() ** 2.2, motion_kernel(5), mode="reflect")
    torch.testing.assert_close(NonlinearBlur(5).forward(x)[0, 0], torch.from_numpy(light ** (1 / 2.2)))


@pytest.mark.parametrize("value", [-0.2, 0.0, 0.01, 0.3, 1.0, 1.2])
def test_nonlinear_blur_keeps_constants(value):
    x = torch.full((1, 3, 19, 40), value, dtype=torch.float64)
    torch.testing.assert_close(NonlinearBlur(1).forward(x), x)


def test_nonlinear_blur_is_brighter_than_linear_blur_at_an_edge():
    x = torch.zeros(1, 1, 64, 64, dtype=torch.float64)
    x[..., 32:] = 1
    assert float(NonlinearBlur().forward(x).mean()) > 0.51


@pytest.mark.parametrize("name", ["astronaut.png", "coffee.png", "camera.png"])
@pytest.mark.parametrize("quality", [1, 10, 49, 50, 75, 95, 100])
def test_jpeg_agrees_with_the_codec(skimage_data, name, quality):
    """Odd sizes and padding included; the codec's integer DCT is what is left."""
    x = photograph(skimage_data, name)
    operator = Jpeg(quality)
    assert 255 * float((operator.forward(x) - operator.measure(x)).abs().mean()) < 0.6


def test_jpeg_of_another_quality_is_told_apart(skimage_data):
    x = photograph(skimage_data, "astronaut.png")
    assert 255 * float((Jpeg(40).forward(x) - Jpeg(45).measure(x)).abs().mean()) > 0.8


@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_at_its_best_is_the_identity_on_smooth_content(channels):
    x, largest = smooth(channels), 2 if channels == 1 else 4  # 8-bit chroma costs the codec itself 3.4
    for y in (Jpeg(100).forward(x), Jpeg(100).measure(x)):
        assert float((y - x).abs().max()) <= largest / 255
        assert float((y - x).abs().mean()) <= 0.6 / 255


def test_jpeg_of_grey_passes_gradients_straight_through():
    x, weight = picture(1, 1, 19, 21).requires_grad_(), picture(1, 1, 19, 21, seed=1)
    (weight * Jpeg(5).forward(x)).sum().backward()
    torch.testing.assert_close(x.grad, weight)


def test_jpeg_of_colour_has_the_gradient_of_its_linear_part():
    """Luma as it is, chroma by 2×2 means and triangle interpolation: written out again with matrices."""
    n = 6
    x, weight = picture(1, 3, n, n).requires_grad_(), picture(1, 3, n, n, seed=1)
    (weight * Jpeg(5).forward(x)).sum().backward()
    mean = np.kron(np.eye(n // 2), [[0.5, 0.5]])
    triangle = np.zeros((n, n // 2))
    for i in range(n):
        near, other = i // 2, i // 2 + (1 if i % 2 else -1)
        triangle[i, near] += 0.75
        triangle[i, min(max(other, 0), n // 2 - 1)] += 0.25
    low_pass = np.kron(triangle @ mean, triangle @ mean)
    luma = np.array([0.299, 0.587, 0.114])
    to_ycc = np.stack([luma, (np.eye(3)[2] - luma) / 1.772, (np.eye(3)[0] - luma) / 1.402])
    to_rgb = np.linalg.inv(to_ycc)
    whole = np.kron(np.outer(to_rgb[:, 0], to_ycc[0]), np.eye(n * n)) + np.kron(to_rgb[:, 1:] @ to_ycc[1:], low_pass)
    expected = whole.T @ weight.numpy().ravel()
    np.testing.assert_allclose(x.grad.numpy().ravel(), expected, atol=1e-6)


@pytest.mark.parametrize(
    "operator, text",
    [
        (Clip(), "hdr:gain=2"),
        (Clip(2.5), "hdr:gain=2.5"),
        (Clip(1 / 3), "hdr:gain=0.3333333333333333"),
        (NonlinearBlur(7), "nonlinear-blur:seed=7"),
        (Jpeg(), "jpeg:quality=40"),
    ],
)
def test_strings(operator, text):
    assert str(operator) == text
    key, value = text.partition(":")[2].split("=")
    assert type(operator)(**{key: type(getattr(operator, key))(value)}) == operator


@pytest.mark.parametrize(
    "make, says",
    [
        (lambda: Clip(0.0), "(0, 100]"),
        (lambda: Clip(float("nan")), "(0, 100]"),
        (lambda: Clip(101.0), "(0, 100]"),
        (lambda: NonlinearBlur(-1), "from 0 on"),
        (lambda: Jpeg(0), "from 1 to 100"),
        (lambda: Jpeg(101), "from 1 to 100"),
        (lambda: Jpeg().measurement_shape((2, 8, 8)), "1 or 3 channels"),
        (lambda: Jpeg().measurement_shape((1, 4, 8, 8)), "1 or 3 channels"),
        (lambda: Jpeg().measurement_shape((1, 8, 70_000)), "65500"),
        (lambda: NonlinearBlur().measurement_shape((1, 4, 8, 8)), "not volumes"),
    ],
)
def test_bad_input(make, says):
    with pytest.raises(InputError) as error:
        make()
    assert says in str(error.value)


@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_gradients_are_of_the_codec_without_its_rounding(channels):
    a = Jpeg(40)
    x = torch.rand(1, channels, 32, 24, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(a.surrogate(2 * x), 2 * a.surrogate(x))  # linear: nothing is rounded or clipped
    smooth = torch.nn.functional.interpolate(x[..., :4, :3], size=(32, 24), mode="bicubic").clamp(0.1, 0.9)
    assert float((a.surrogate(smooth) - Jpeg(100).forward(smooth)).abs().max()) < 8 / 255


def test_a_clipped_value_is_explained_by_the_cheaper_of_clipping_and_noise():
    """Against every x on a grid; y just below an end is clipped where v is beyond it."""
    operator, rho = Clip(2.0), 0.3
    v, y = (
        t.flatten() for t in torch.meshgrid(torch.linspace(-0.2, 1.2, 29), torch.linspace(-0.1, 1.1, 25), indexing="ij")
    )
    x = operator.prox(v.view(1, 1, 1, -1), y.view(1, 1, 1, -1), rho).flatten()
    grid = torch.linspace(-0.5, 1.5, 4001)[:, None]

    def cost(u):
        return (operator.forward(u) - y).square() + rho * (u - v).square()

    assert float((cost(x) - cost(grid).min(0).values).max()) < 1e-6
    bright = operator.prox(torch.full((1, 1, 1, 1), 0.9), torch.full((1, 1, 1, 1), 0.97), rho)
    assert float(bright) == pytest.approx(0.9)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("operator", [Clip(), Clip(3.5), NonlinearBlur()], ids=str)
def test_the_proximal_map_is_a_stationary_point(operator, weighted):
    """No small step from it gains, and it is no worse than where it began."""
    generator = torch.Generator().manual_seed(0)
    truth, v = torch.rand(2, 1, 3, 20, 24, generator=generator, dtype=torch.float64)
    y = (operator.forward(truth) + 0.02 * torch.randn(truth.shape, generator=generator, dtype=torch.float64)).clamp(
        0, 1
    )
    weight = 0.5 + torch.rand(truth.shape, generator=generator, dtype=torch.float64) if weighted else None
    rho = 0.3
    x = operator.prox(v, y, rho, weight)

    def objective(u):
        apart = (operator.forward(u) - y).square()
        return float((apart if weight is None else weight * apart).sum() / 2 + rho * (u - v).square().sum() / 2)

    size = 1e-3 if isinstance(operator, Clip) else 0.05  # of Gauss-Newton two steps are taken
    assert objective(x) < objective(v)
    for k in range(5):
        step = size * torch.randn(x.shape, generator=torch.Generator().manual_seed(k), dtype=torch.float64)
        assert objective(x) <= objective(x + step)
