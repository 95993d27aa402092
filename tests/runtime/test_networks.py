import numpy as np
import pytest
import torch
import torch.nn.functional as F

from veriscale.diffusion.checkpoint import load_checkpoint
from veriscale.diffusion.encoder import Condition
from veriscale.diffusion.library import find_prior
from veriscale.errors import InputError
from veriscale.imaging.read import read_photo
from veriscale.runtime.device import choose_device, choose_dtype
from veriscale.runtime.networks import (
    ConditionalDenoiser,
    UnconditionalDenoiser,
    encode,
    padding,
    predict_error,
    predict_square,
)


@pytest.mark.parametrize("scale, sizes", [(2, (5, 7)), (3, (5, 9)), (4, (5, 6))])
def test_padding_reaches_the_stride(tiny, scale, sizes):
    rows, columns = padding(tiny, *sizes, scale)
    stride = tiny.denoiser.stride
    assert (sizes[0] + rows) * scale % stride == (sizes[1] + columns) * scale % stride == 0
    assert 0 <= rows < stride


def test_encoding_in_tiles_is_encoding_the_whole(tiny):
    y = torch.rand(1, 3, 40, 30, generator=torch.Generator().manual_seed(0))
    whole = encode(tiny, y, 4, 0.02, features=True)
    tiled = encode(tiny, y, 4, 0.02, features=True, tile=32)
    for a, b in zip(whole, tiled, strict=True):
        assert (a - b).abs().max() <= 1e-5


@pytest.mark.parametrize("tile", [16, 48])
def test_denoising_in_tiles_is_denoising_the_whole(tiny, tile):
    g = torch.Generator().manual_seed(0)
    y, x = torch.rand(1, 3, 32, 24, generator=g), torch.rand(2, 3, 128, 96, generator=g)
    condition = encode(tiny, y, 4, 0.0, features=True)
    whole = ConditionalDenoiser(tiny, condition, 4, 0.0)(x, 0.1)
    assert (whole - ConditionalDenoiser(tiny, condition, 4, 0.0, tile)(x, 0.1)).abs().max() <= 1e-5


def test_a_level_ratio_below_one_leaves_more_in(tiny):
    g = torch.Generator().manual_seed(0)
    y, x = torch.rand(1, 3, 16, 16, generator=g), torch.rand(1, 3, 64, 64, generator=g)
    condition = encode(tiny, y, 4, 0.0, features=True)
    plain, lower = (ConditionalDenoiser(tiny, condition, 4, 0.0) for _ in range(2))
    plain.level_ratio, lower.level_ratio = 1.0, 0.9
    torch.testing.assert_close(lower(x, 0.2), plain(x, 0.18))
    assert (lower(x, 0.2) - x).square().mean() < (plain(x, 0.2) - x).square().mean()


def test_the_halo_suffices_for_the_shipped_prior(skimage_data):
    prior = load_checkpoint(find_prior("photo"), torch.device("cpu"), torch.float32)
    samples = read_photo(skimage_data / "coffee.png").pixels[100:220, 200:320]
    y = torch.from_numpy(np.ascontiguousarray(samples.transpose(2, 0, 1)))[None]
    whole, tiled = (encode(prior, y, 4, 0.0, features=True, tile=t) for t in (480, 160))
    assert (whole.mean - tiled.mean).abs().max() <= 1e-5
    assert (whole.features - tiled.features).abs().max() <= 1e-4  # of features of size 1


def test_bf16_is_close_to_float32(tiny, tiny_file):
    rough = load_checkpoint(tiny_file, torch.device("cpu"), torch.bfloat16)
    y = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    a, b = (encode(p, y, 4, 0.0, features=False).mean for p in (tiny, rough))
    assert 0 < (a - b).abs().max() <= 2 / 255


def test_an_unknown_device_is_named():
    with pytest.raises(InputError, match="did you mean 'cuda'"):
        choose_device("cudda")
    assert choose_dtype(choose_device("cpu")) in (torch.float32, torch.bfloat16)


def test_pullback_in_tiles_is_that_of_the_whole(tiny):
    x = torch.rand(2, 3, 45, 70, generator=torch.Generator().manual_seed(0))
    g = torch.rand(x.shape, generator=torch.Generator().manual_seed(1))
    whole, pull = UnconditionalDenoiser(tiny).pullback(x, 0.1)
    parts, pull_parts = UnconditionalDenoiser(tiny, tile=16).pullback(x, 0.1)
    torch.testing.assert_close(whole, parts, atol=1e-5, rtol=0)
    torch.testing.assert_close(pull(g), pull_parts(g), atol=1e-4, rtol=1e-4)


def test_pullback_is_the_transposed_derivative(tiny):
    denoise = UnconditionalDenoiser(tiny)
    generator = torch.Generator().manual_seed(0)
    x, g, d = (torch.rand(1, 3, 21, 18, generator=generator) for _ in range(3))
    moved = (denoise(x + 1e-2 * d, 0.5) - denoise(x - 1e-2 * d, 0.5)) / 2e-2
    _, pull = denoise.pullback(x, 0.5)
    assert float((moved * g).sum()) == pytest.approx(float((pull(g) * d).sum()), rel=1e-2)


def test_features_that_nobody_asks_for_are_not_made(tiny, monkeypatch):
    y = torch.rand(1, 3, 12, 16)
    monkeypatch.setattr(tiny.encoder.tails["4"].features, "forward", None)
    assert encode(tiny, y, 4, 0.0, features=False).features.shape[1] == 0


@pytest.mark.parametrize("threshold", [0.1, "each"])
def test_errors_are_predicted_up_to_the_edge_of_a_crop(tiny, threshold):
    """A crop whose sides are no multiples of the scale: its last rows and columns too, and the rest as without them."""
    g = torch.Generator().manual_seed(0)
    features = tiny.card.network.encoder.features
    crop = Condition(torch.rand(2, 3, 43, 46, generator=g), torch.rand(2, features, 43, 46, generator=g))
    at = torch.rand(2, 43, 46, generator=g) if threshold == "each" else threshold
    wide = Condition(*(F.pad(t, (0, 2, 0, 1), mode="replicate") for t in crop))
    beyond = F.pad(at[:, None], (0, 2, 0, 1), mode="replicate")[:, 0] if threshold == "each" else at
    assert torch.equal(predict_error(tiny, crop, 4, at), predict_error(tiny, wide, 4, beyond)[:, :43, :46])
    assert torch.equal(predict_square(tiny, crop, 4), predict_square(tiny, wide, 4)[:, :43, :46])
