"""Restorations by a prior, by the API: shape, dial, draws, tiles, what must survive."""

import numpy as np
import pytest
import torch
from tests.conftest import write_tiny

from veriscale.diffusion.checkpoint import load_checkpoint
from veriscale.diffusion.prior import Prior
from veriscale.errors import InputError
from veriscale.imaging.photo import Photo
from veriscale.imaging.read import read_photo
from veriscale.traversal import consistency
from veriscale.workflows.restoring.door import restore

FAST = {"sampler": "heun", "steps": 2}


def crop(photo: Photo, height: int, width: int) -> Photo:
    return photo.with_pixels(photo.pixels[:height, :width], None)


@pytest.fixture(scope="module")
def astronaut(skimage_data):
    return crop(read_photo(skimage_data / "astronaut.png"), 37, 53)


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("dial", [0, 0.5, 1])
def test_shape_is_the_measurement_times_the_scale(tiny, astronaut, scale, dial):
    image = restore(astronaut, tiny, scale=scale, dial=dial, **FAST).image
    assert image.pixels.shape == (37 * scale, 53 * scale, 3)
    assert np.isfinite(image.pixels).all()


@pytest.mark.parametrize("sampler", ["heun", "ancestral"])
@pytest.mark.parametrize("dial", [0, 0.5, 1])
def test_one_tile_and_many_give_the_same_picture(tiny, astronaut, dial, sampler):
    settings = {"dial": dial, "sampler": sampler, "steps": 2 if sampler == "heun" else 3, "path": "renoise"}
    whole = restore(astronaut, tiny, **settings).image.pixels
    tiled = restore(astronaut, tiny, **settings, tile=32).image.pixels
    assert np.abs(whole - tiled).max() <= 1e-4


def test_too_small_a_halo_changes_the_picture(tiny, astronaut, monkeypatch):
    whole = restore(astronaut, tiny, dial=1, **FAST).image.pixels
    monkeypatch.setattr(type(tiny.denoiser), "receptive_radius", 0)
    assert np.abs(whole - restore(astronaut, tiny, dial=1, **FAST, tile=32).image.pixels).max() > 1e-4


def test_batch_does_not_change_draws(tiny, astronaut):
    one = restore(astronaut, tiny, samples=3, batch=1, **FAST)
    three = restore(astronaut, tiny, samples=3, batch=3, **FAST)
    for a, b in zip(one.samples, three.samples, strict=True):
        assert np.abs(a.pixels - b.pixels).max() <= 1e-4
    assert np.abs(one.samples[0].pixels - one.samples[1].pixels).max() > 0.01


def test_threads_do_not_change_the_picture(tiny, astronaut):
    before = torch.get_num_threads()
    try:
        pictures = []
        for threads in (1, 2):
            torch.set_num_threads(threads)
            pictures.append(restore(astronaut, tiny, dial=1, **FAST).image.pixels)
    finally:
        torch.set_num_threads(before)
    assert np.abs(pictures[0] - pictures[1]).max() <= 1e-4


def test_dial_zero_is_the_anchor_and_dial_one_is_the_first_draw(tiny, astronaut):
    result = restore(astronaut, tiny, dial=[0, 0.5, 1], samples=2, **FAST)
    assert list(result.images) == [0, 0.5, 1]
    np.testing.assert_array_equal(result.images[0].pixels, restore(astronaut, tiny, dial=0).image.pixels)
    np.testing.assert_array_equal(result.images[1].pixels, result.samples[0].pixels)


@pytest.mark.parametrize("path", ["renoise", "interpolate"])
def test_distance_from_the_anchor_grows_along_the_dial(tiny, astronaut, path):
    result = restore(astronaut, tiny, dial=[0, 0.25, 0.5, 0.75, 1], path=path, **FAST)
    anchor = result.images[0].pixels
    distance = [float(np.square(p.pixels - anchor).mean()) for p in result.images.values()]
    assert distance == sorted(distance)
    assert len(set(distance)) == 5


@pytest.mark.parametrize("kind", ["colour", "grey", "alpha"])
def test_mean_and_std_are_those_of_the_draws(tiny, astronaut, kind):
    alpha = np.linspace(0, 1, 37 * 53, dtype=np.float32).reshape(37, 53) if kind == "alpha" else None
    samples = astronaut.pixels[..., :1] if kind == "grey" else astronaut.pixels
    result = restore(astronaut.with_pixels(samples, alpha), tiny, samples=4, **FAST)
    draws = np.stack([p.pixels for p in result.samples]).astype(np.float64)
    np.testing.assert_allclose(result.mean.pixels, draws.mean(0), atol=1e-5)
    np.testing.assert_allclose(result.std, draws.std(0, ddof=1), atol=1e-5)


def test_same_seed_same_picture_other_seed_other_picture(tiny, astronaut):
    pictures = [restore(astronaut, tiny, dial=1, seed=s, **FAST).image.pixels for s in (0, 0, 1)]
    np.testing.assert_array_equal(pictures[0], pictures[1])
    assert np.abs(pictures[0] - pictures[2]).max() > 0.01


def test_grey_comes_back_grey(tiny, astronaut):
    grey = astronaut.with_pixels(astronaut.pixels.mean(2, keepdims=True).astype(np.float32))
    assert restore(grey, tiny).image.pixels.shape == (148, 212, 1)


def test_alpha_is_resized_and_hidden_colours_do_not_bleed(tiny, astronaut):
    alpha = np.zeros((37, 53), np.float32)
    alpha[:, 20:] = 1
    red = astronaut.pixels.copy()
    red[:, :20] = (1, 0, 0)
    black = astronaut.pixels.copy()
    black[:, :20] = 0
    a, b = (restore(astronaut.with_pixels(s, alpha), tiny).image for s in (red, black))
    assert a.alpha.shape == (148, 212)
    assert a.alpha.min() >= 0
    assert a.alpha.max() <= 1
    np.testing.assert_array_equal(a.pixels, b.pixels)


def test_what_must_survive_survives(tiny, astronaut):
    photo = Photo(astronaut.pixels, None, 16, b"profile", (300.0, 300.0), "tiff")
    image = restore(photo, tiny, scale=2).image
    assert (image.bit_depth, image.icc, image.dpi, image.format) == (16, b"profile", (600.0, 600.0), "tiff")


def test_run_says_what_was_done(tiny, astronaut):
    run = restore(astronaut, tiny, dial=1, noise=0.02, seed=3, **FAST).run
    card = tiny.card
    known = {"name": "tiny", "sha256": card.tensors_sha256, "card": card.deciding_sha256(4)}
    assert run["prior"] == known
    assert (run["seed"], run["noise_std"], run["dial"], run["evaluations"]) == (3, 0.02, [1.0], 3)


@pytest.mark.parametrize(
    "wrong, sentence",
    [
        ({"scale": 17}, "above 1 and up to 16"),
        ({"dial": 1.5}, "outside \\[0, 1\\]"),
        ({"dial": float("nan")}, "outside \\[0, 1\\]"),
        ({"noise": 0.3, "anchor": "mean"}, "knows noise up to 0.05"),
        ({"noise": "loud"}, "known: gaussian, poisson, rician"),
        ({"path": "renoize"}, "did you mean 'renoise'"),
        ({"sampler": "hein"}, "did you mean 'heun'"),
        ({"steps": 0}, "at least 1"),
        ({"samples": 1}, "no spread"),
        ({"dial": 0.5, "steps": 5}, "no dial table"),
    ],
)
def test_values_that_cannot_be_used_are_named(tiny, astronaut, wrong, sentence):
    with pytest.raises(InputError, match=sentence):
        restore(astronaut, tiny, **wrong)


def test_a_picture_too_small_is_refused(tiny):
    with pytest.raises(InputError, match="too small"):
        restore(np.zeros((4, 40, 3), np.float32), tiny)


def test_colour_is_refused_by_a_grey_prior(tiny: Prior, astronaut, tmp_path):
    grey = load_checkpoint(write_tiny(tmp_path / "grey.safetensors", 1), torch.device("cpu"), torch.float32)
    with pytest.raises(InputError, match="is for grey pictures and this one has 3 channels"):
        restore(astronaut, grey)
    assert restore(astronaut.pixels[..., :1], grey).image.channels == 1


def test_consistency_of_a_large_picture_is_that_of_its_middle(tiny, skimage_data, monkeypatch):
    rng = np.random.default_rng(0)
    y = rng.random((60, 72, 3), np.float32)  # alike everywhere: the middle stands for the whole
    whole = restore(y, tiny, scale=2, noise=0.05).consistency
    monkeypatch.setattr(consistency, "WHOLE_PIXELS", 80 * 80)
    middle = restore(y, tiny, scale=2, noise=0.05)
    assert middle.consistency == pytest.approx(whole, rel=0.1)
    assert middle.consistency != whole
