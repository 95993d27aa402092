"""JPEG's proximal map: between any picture and the cell of the file's coefficients."""

import pytest
import torch

from veriscale.errors import InputError
from veriscale.physics import jpeg
from veriscale.physics.data_term import DataTerm
from veriscale.physics.jpeg import Jpeg
from veriscale.physics.jpeg_blocks import TO_RGB, TO_YCC, blocks, mixed, unblocks
from veriscale.physics.measurement_noise import GaussianNoise, PoissonNoise
from veriscale.physics.registry import parse_operator


def smooth(channels: int, height: int = 32, width: int = 48) -> torch.Tensor:
    small = torch.rand(1, channels, 5, 6, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.interpolate(small, size=(height, width), mode="bicubic").clamp(0.1, 0.9)


def unit(shape, seed=1):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def coefficients(operator, x):
    """In steps of the codec, luma and then chroma."""
    luma, chroma = (operator._table(t, x) / 255 for t in (jpeg._LUMA, jpeg._CHROMA))
    if x.shape[1] == 1:
        return [blocks(x - 128 / 255) / luma]
    ycc = mixed(TO_YCC, x)
    return [blocks(ycc[:, :1] - 128 / 255) / luma, blocks(torch.nn.functional.avg_pool2d(ycc[:, 1:], 2)) / chroma]


def test_blocks_are_an_orthonormal_basis():
    x = unit((2, 1, 16, 24))
    z = blocks(x)
    assert float(z.norm()) == pytest.approx(float(x.norm()), rel=1e-6)
    torch.testing.assert_close(unblocks(z, x.shape), x)


def test_colours_there_and_back():
    x = smooth(3)
    torch.testing.assert_close(mixed(TO_RGB, mixed(TO_YCC, x)), x)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(32, 48), (29, 35)])
def test_far_from_the_data_it_is_v_and_near_them_in_the_cell_of_the_file(channels, size):
    operator, x = Jpeg(40), smooth(channels, *size)
    y = operator.measure(x)
    v = x + 0.1 * unit(x.shape)
    torch.testing.assert_close(operator.prox(v, y, 1e6), v, atol=1e-5, rtol=0)
    near = operator.prox(v, y, 1e-6)
    inner = slice(0, size[0] // 16 * 16), slice(0, size[1] // 16 * 16)  # whole blocks
    found, held = (coefficients(operator, t[(..., *inner)]) for t in (near, (255 * x).round() / 255))
    for c, h in zip(found, held, strict=True):
        assert float(((c - h.round()).abs() > 0.2).float().mean()) < 0.01  # ties may go either way


@pytest.mark.parametrize("channels", [1, 3])
def test_no_small_step_gains(channels):
    operator, x = Jpeg(30), smooth(channels)
    y, rho = operator.measure(x), 0.2
    v = x + 0.05 * unit(x.shape)
    found = operator.prox(v, y, rho)
    held = [c.round() for c in coefficients(operator, (255 * x).round() / 255)]  # what the file held

    def objective(u):
        apart = sum(float((c - h).square().sum()) for c, h in zip(coefficients(operator, u), held, strict=True))
        return 12 * operator.noise_std**2 * apart / 2 + rho * float((u - v).square().sum()) / 2

    least = objective(found)
    assert least < objective(v)
    assert all(least < objective(found + 0.02 * unit(x.shape, seed)) for seed in range(2, 8))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("before", ["downsample:factor=2", "blur:kernel=gaussian,std=1"])
def test_after_an_operator_no_small_step_gains(channels, before):
    operator, x = parse_operator(f"{before} + jpeg:quality=30"), smooth(channels, 40, 56)
    codec, y, rho = Jpeg(30), operator.measure(x), 0.2
    v = x + 0.05 * unit(x.shape)
    found = operator.prox(v, y, rho)
    held = [c.round() for c in coefficients(codec, padded(y))]

    def objective(u):
        seen = coefficients(codec, padded(parse_operator(before).forward(u)))
        apart = sum(float((c - h).square().sum()) for c, h in zip(seen, held, strict=True))
        return 12 * codec.noise_std**2 * apart / 2 + rho * float((u - v).square().sum()) / 2

    least = objective(found)
    # Chroma as the decoder interpolates it is held as near as it can be told: there the minimum is not quite this one.
    assert least < 0.9 * objective(v)
    assert all(least < objective(found + 0.02 * unit(x.shape, seed)) for seed in range(2, 8))


def padded(t):
    height, width = t.shape[-2:]
    return torch.nn.functional.pad(t, (0, -width % 16, 0, -height % 16), mode="replicate")


def test_after_a_clipping_the_codec_is_noise():
    operator, x = parse_operator("hdr:gain=2 + jpeg:quality=60"), smooth(3)
    y, v = operator.measure(x), x + 0.1 * unit(x.shape)
    torch.testing.assert_close(operator.prox(v, y, 0.3), parse_operator("hdr:gain=2").prox(v, y, 0.3))
    assert operator.noise_std == Jpeg(60).noise_std
    assert not hasattr(parse_operator("downsample:factor=2 + hdr + jpeg"), "prox")


def test_its_rounding_is_its_noise():
    assert Jpeg(10).noise_std > Jpeg(40).noise_std > Jpeg(90).noise_std > 0
    assert parse_operator("inpaint:keep=0.5").noise_std == 0


def test_other_noise_is_refused():
    operator, x = Jpeg(40), smooth(3)
    with pytest.raises(InputError, match="knows its own rounding"):
        DataTerm(operator, operator.measure(x), PoissonNoise(30)).prox(x, 0.1)
    compressed = parse_operator("downsample:factor=2 + jpeg:quality=40")
    with pytest.raises(InputError, match="knows its own rounding"):
        DataTerm(compressed, compressed.measure(x), PoissonNoise(30)).prox(x, 0.1)
    assert DataTerm(operator, operator.measure(x), GaussianNoise(0.02)).prox(x, 0.1).shape == x.shape
