"""Restoring what the encoder does not know, with every operator: by the API."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from veriscale.diffusion.prior import Prior
from veriscale.errors import InputError
from veriscale.imaging.photo import Photo
from veriscale.imaging.read import read_photo
from veriscale.imaging.write import write_photo
from veriscale.physics.jpeg import Jpeg
from veriscale.physics.measurement_noise import parse_noise
from veriscale.physics.registry import OPERATORS, parse_operator
from veriscale.settings import Settings, settled
from veriscale.traversal.consistency import Verdict
from veriscale.workflows.degrading.degradation import degrade
from veriscale.workflows.degrading.measurement import write_sidecar
from veriscale.workflows.opening import load_prior
from veriscale.workflows.restoring.door import restore
from veriscale.workflows.restoring.plan import Plan
from veriscale.workflows.restoring.prior_restorer import PriorRestorer

FAST = {"sampler": "heun", "steps": 2}
LINEAR = [
    "denoise",
    "inpaint:keep=0.5",
    "blur:kernel=gaussian,std=1",
    "blur:kernel=gaussian,std=1,boundary=reflect",
    "sensing:ratio=0.5",
    "fourier:accel=2",
    "slice:fwhm=2,step=2,axis=0",
    "downsample:factor=3,kernel=box",
    "blur:kernel=gaussian,std=1 + downsample:factor=2",
]
NONLINEAR = ["hdr:gain=2", "nonlinear-blur:seed=0", "jpeg:quality=40"]


def plan_of(prior: Prior, photo: Photo, settings: Settings) -> Plan:
    return PriorRestorer(prior, settled(settings)).prepare(photo).plan


def test_every_operator_is_restored_here():
    assert {text.partition(":")[0] for text in (*LINEAR, *NONLINEAR)} == set(OPERATORS)


@pytest.mark.parametrize("operator", LINEAR)
def test_whole_dial_and_draws_for_every_linear_operator(tiny, cat, operator):
    y = degrade(cat, operator, 0.05)
    result = restore(y, tiny, operator=operator, noise=0.05, dial=[0, 0.5, 1], samples=2, **FAST)
    assert result.run["mode"] == "zero-shot"
    for image in (*result.images.values(), *result.samples):
        assert image.pixels.shape == cat.pixels.shape
        assert np.isfinite(image.pixels).all()
    np.testing.assert_array_equal(result.images[1].pixels, result.samples[0].pixels)
    assert np.abs(result.samples[0].pixels - result.samples[1].pixels).max() > 0.01
    assert np.isfinite(result.consistency)


@pytest.mark.parametrize("operator", NONLINEAR)
def test_nonlinear_operators_by_gradients(tiny, cat, operator):
    y = degrade(cat, operator, 0.02)
    result = restore(y, tiny, operator=operator, noise=0.02, dial=[0, 1], preset="map-rps-denoising", steps=3)
    assert (result.run["anchor"], result.run["posterior"]) == ("paper", "dps")
    assert all(np.isfinite(p.pixels).all() for p in result.images.values())


@pytest.mark.parametrize("operator", NONLINEAR)
def test_nonlinear_operators_by_their_proximal_maps(tiny, cat, operator):
    y = degrade(cat, operator, 0.02)
    asked = {"anchor": "fast", "posterior": "proximal"} if "hdr" in operator else {}
    result = restore(y, tiny, operator=operator, noise=0.02, dial=[0, 1], **asked)
    assert (result.run["anchor"], result.run["posterior"]) == ("fast", "proximal")
    assert all(np.isfinite(p.pixels).all() for p in result.images.values())


def test_the_anchor_of_clipped_pictures_goes_beyond_the_limit(skimage_data):
    """The most probable picture stays at it: a mean of draws is nearer to the truth, and each is counted."""
    photo = read_photo(skimage_data / "coffee.png")
    prior, x = load_prior("photo"), photo.with_pixels(photo.pixels[220:268, 60:108])
    y = degrade(x, "hdr:gain=2", 0.02)

    def off(**asked) -> float:
        result = restore(y, prior, operator="hdr:gain=2", noise=0.02, **asked)
        assert result.run["anchor"] == asked.get("anchor", "draws")
        return float(np.square(result.image.pixels - x.pixels).mean())

    assert off() < 0.7 * off(anchor="fast")


@pytest.mark.parametrize("operator", ["hdr:gain=2", "hdr:gain=2 + jpeg:quality=60"])
def test_a_clipping_asks_for_a_mean_of_draws(tiny, cat, operator):
    done = []
    y = degrade(cat, operator, 0.02)
    result = restore(
        y, tiny, operator=operator, noise=0.02, dial=[0, 1], steps=2, progress=lambda phase, k, of: done.append((k, of))
    )
    assert (result.run["anchor"], result.run["posterior"]) == ("draws", "dps")
    assert done[-1][0] == done[-1][1] == result.run["evaluations"] == 16 + 4 * 100 + 2


@pytest.mark.parametrize("posterior", ["proximal", "dps"])
@pytest.mark.parametrize("operator", ["inpaint:keep=0.5", "downsample:factor=4,kernel=box"])
def test_tiles_do_not_change_the_picture(tiny, cat, operator, posterior):
    y = degrade(cat, operator, 0.05)
    settings = {"operator": operator, "noise": 0.05, "dial": 1, "posterior": posterior, "steps": 2}
    whole = restore(y, tiny, **settings).image.pixels
    tiled = restore(y, tiny, **settings, tile=16).image.pixels
    assert np.abs(whole - tiled).max() <= 1e-3


@pytest.mark.parametrize(
    "settings, method, word",
    [
        (Settings(), "conditional", "knows bicubic ×4"),
        (Settings(scale=2), "conditional", "knows bicubic ×2"),
        (Settings(operator="downsample:factor=4,kernel=bicubic"), "conditional", "knows bicubic ×4"),
        (Settings(operator="downsample:factor=4,kernel=box"), "zero-shot", "knows bicubic ×2, ×3, ×4 only"),
        (Settings(operator="downsample:factor=5"), "zero-shot", "only"),
        (Settings(operator="inpaint:keep=0.5"), "zero-shot", "only"),
        (Settings(noise="0.3"), "zero-shot", "noise up to 0.05"),
        (Settings(noise="poisson:peak=30"), "zero-shot", "Gaussian"),
        (Settings(anchor="fast"), "zero-shot", "'fast'"),
        (Settings(posterior="proximal"), "zero-shot", "'proximal'"),
        (Settings(preset="map-rps-sr4"), "zero-shot", "'map-rps-sr4'"),
    ],
)
def test_what_decides_between_conditional_and_zero_shot(tiny, cat, settings, method, word):
    plan = plan_of(tiny, cat, settings)
    assert plan.method.name == method
    assert word in plan.why


@pytest.mark.parametrize(
    "wrong, words",
    [
        ({"operator": "inpaint:keep=0.5 + hdr", "anchor": "fast"}, "choose 'paper'"),
        ({"operator": "inpaint:keep=0.5 + hdr", "posterior": "proximal"}, "choose 'dps'"),
        ({"operator": "inpaint:keep=0.5", "anchor": "mean"}, "'mean' cannot be had"),
        ({"operator": "inpaint:keep=0.5", "posterior": "conditional"}, "'conditional' cannot be had"),
        ({"operator": "inpaint:keep=0.5", "posterior": "covariance", "noise": "poisson:peak=9"}, "Gaussian"),
        ({"operator": "inpaint:keep=0.5", "anchor": "quick"}, "known: mean, fast, draws, paper"),
        ({"operator": "inpaint:keep=0.5", "preset": "map-rps"}, "No preset"),
        ({"operator": "sensing:ratio=0.5", "noise": "poisson:peak=9"}, "use gaussian"),
        ({"operator": "sensing:ratio=0.5", "noise": "auto"}, "state it"),
        ({"operator": "inpaint:box=99"}, "42"),
        ({"operator": "fourier:accel=4"}, "fourier"),
    ],
)
def test_requests_that_do_not_go_together(tiny, cat, wrong, words):
    picture = cat.with_pixels(cat.pixels[:, :47]) if "fourier" in str(wrong) else cat
    if "sensing" in str(wrong):
        picture = replace(picture, bit_depth=32)
    with pytest.raises(InputError, match=words):
        restore(picture, tiny, **wrong)


@pytest.mark.parametrize("operator", ["inpaint:keep=0.5", "inpaint:box=9", "inpaint:keep=0.5 + hdr"])
def test_noise_is_not_guessed_where_there_are_holes(tiny, cat, operator):
    with pytest.raises(InputError, match="state it"):
        restore(degrade(cat, operator, 0.05), tiny, operator=operator, noise="auto")


@pytest.mark.parametrize("operator", NONLINEAR)
def test_consistent_is_refused_before_the_work_where_there_is_no_proximal_map(tiny, cat, operator):
    def work(*told: object) -> None:
        raise AssertionError(told)

    with pytest.raises(InputError, match="consistent needs a linear operator"):
        restore(cat, tiny, operator=operator, consistent=True, progress=work)


def test_coefficients_are_not_read_from_whole_numbers_or_with_transparency(tiny, cat):
    clear = replace(cat, bit_depth=32, alpha=np.ones(cat.pixels.shape[:2], np.float32))
    for photo, word in ((cat, "8 bits"), (clear, "transparency")):
        with pytest.raises(InputError, match=word):
            restore(photo, tiny, operator="sensing:ratio=0.5")


def test_values_that_would_overflow_are_refused(tiny, cat):
    photo = replace(cat, pixels=cat.pixels * np.float32(1e20), bit_depth=32)
    for settings in ({"operator": "inpaint:keep=0.5"}, {"scale": 2}):
        with pytest.raises(InputError, match="white is 1"):
            restore(photo, tiny, **settings)


def test_holes_in_a_picture_are_none_in_its_outline(tiny, cat):
    alpha = np.full(cat.pixels.shape[:2], 0.5, np.float32)
    y = degrade(cat.with_pixels(cat.pixels, alpha), "inpaint:keep=0.5 + blur:kernel=gaussian,std=1", 0.02)
    np.testing.assert_allclose(y.alpha, 0.5, atol=1e-6)
    image = restore(y, tiny, operator="inpaint:keep=0.5 + blur:kernel=gaussian,std=1", noise=0.02).image
    np.testing.assert_allclose(image.alpha, 0.5, atol=1e-6)


@pytest.mark.parametrize("operator", NONLINEAR)
def test_transparency_is_for_linear_operators_unless_all_is_opaque(tiny, cat, operator):
    half, full = (cat.with_pixels(cat.pixels, np.full(cat.pixels.shape[:2], a, np.float32)) for a in (0.5, 1.0))
    with pytest.raises(InputError, match="flatten it first"):
        degrade(half, operator)
    with pytest.raises(InputError, match="flatten it first"):
        restore(half, tiny, operator=operator)
    assert (degrade(full, operator).alpha == 1).all()


def test_poisson_and_rician_are_restored(tiny, cat):
    for noise in ("poisson:peak=30", "rician:0.05"):
        y = degrade(cat, "inpaint:keep=0.7", noise)
        result = restore(y, tiny, operator="inpaint:keep=0.7", noise=noise, dial=[0, 1], **FAST)
        assert all(np.isfinite(p.pixels).all() for p in result.images.values())
        assert result.run["noise"] == noise


def test_grey_comes_back_grey_and_alpha_survives(tiny, cat):
    grey = cat.with_pixels(cat.pixels.mean(2, keepdims=True), np.full(cat.pixels.shape[:2], 0.5, np.float32))
    y = degrade(grey, "downsample:factor=3,kernel=box")
    image = restore(y, tiny, operator="downsample:factor=3,kernel=box").image
    assert image.pixels.shape == grey.pixels.shape
    np.testing.assert_allclose(image.alpha, 0.5, atol=1e-3)


def test_consistent_brings_the_misfit_to_what_the_noise_explains(tiny, cat):
    y = degrade(cat, "downsample:factor=3,kernel=box", 0.05)
    settings = {"operator": "downsample:factor=3,kernel=box", "noise": 0.01, "preset": "map-rps-denoising", "steps": 2}
    before, after = restore(y, tiny, **settings), restore(y, tiny, **settings, consistent=True)
    assert before.consistency > 1.05
    assert after.consistency == pytest.approx(1, abs=0.05)
    assert after.run["consistent"] is True


def test_conditional_results_say_how_well_they_agree(tiny, cat):
    result = restore(cat, tiny, scale=2)
    assert result.verdict == Verdict(result.consistency)  # this prior's card holds no usual value
    assert "not on the prior's card" in result.verdict.sentence()


@pytest.mark.parametrize("value, said", [(1.15, 0), (3.0, 0), (8.0, 1), (0.5, 1)])
def test_a_conditional_result_speaks_of_its_consistency_where_something_is_wrong(tiny, cat, value, said):
    work = PriorRestorer(tiny, settled(Settings(scale=2))).prepare(cat)
    assert len(work.verdicts(replace(work.restore(), verdict=Verdict(value, 1.17, 7.09)))) == said


def test_same_seed_same_picture_other_seed_other_picture(tiny, cat):
    settings = {"operator": "inpaint:keep=0.5", "dial": [0, 0.5, 1], **FAST}
    runs = [restore(cat, tiny, **settings, seed=s) for s in (0, 0, 1)]
    for f in (0.5, 1):
        np.testing.assert_array_equal(runs[0].images[f].pixels, runs[1].images[f].pixels)
        assert np.abs(runs[0].images[f].pixels - runs[2].images[f].pixels).max() > 0.01


@pytest.mark.parametrize("path", ["renoise", "interpolate"])
def test_distance_from_the_anchor_grows_along_the_piloted_dial(tiny, cat, path):
    y = degrade(cat, "inpaint:keep=0.5", 0.05)
    settings = {"operator": "inpaint:keep=0.5", "noise": 0.05, "path": path, **FAST}
    result = restore(y, tiny, dial=[0, 0.25, 0.5, 0.75, 1], **settings)
    anchor = result.images[0].pixels
    distance = [float(np.square(p.pixels - anchor).mean()) for p in result.images.values()]
    assert distance == sorted(distance)


def test_plan_counts_its_evaluations(tiny, cat):
    told = []
    settings = {"operator": "inpaint:keep=0.5", "dial": [0, 0.5, 1], "sampler": "dpm-solver++", "steps": 3}
    for path in ("renoise", "interpolate"):
        told.clear()
        result = restore(
            cat, tiny, **settings, path=path, samples=3, progress=lambda what, done, of: told.append((done, of))
        )
        assert told[-1] == (result.run["evaluations"], result.run["evaluations"])


def test_memory_is_stated_and_larger_for_what_is_not_local(tiny, cat):
    local = plan_of(tiny, cat, Settings(operator="inpaint:keep=0.5"))
    whole = plan_of(tiny, replace(cat, bit_depth=32), Settings(operator="sensing:ratio=0.5"))
    gradient = plan_of(tiny, cat, Settings(operator="inpaint:keep=0.5", posterior="dps", dial="1"))
    assert whole.memory(3) > local.memory(3) > 42 * 48 * 3 * 4
    assert gradient.tile_memory > 0


def test_json_of_a_run_has_no_infinity(tiny, cat):
    json.dumps(restore(cat, tiny, operator="inpaint:keep=0.5").run, allow_nan=False)


def test_a_tiny_hole_is_no_reason_to_forget_the_format(tiny):
    photo = Photo(np.full((16, 24, 3), 0.5, np.float32), None, 16, b"profile", (300.0, 300.0), "tiff")
    image = restore(photo, tiny, operator="inpaint:box=4").image
    assert (image.bit_depth, image.icc, image.dpi, image.format) == (16, b"profile", (300.0, 300.0), "tiff")


def test_api_reads_sidecars_and_operator_files_as_the_command_does(tiny, cat, tmp_path):
    write_photo(degrade(cat, "inpaint:keep=0.5", 0.05), tmp_path / "y.png")
    write_sidecar(tmp_path / "y.png", parse_operator("inpaint:keep=0.5"), parse_noise("0.05"), 0)
    run = restore(tmp_path / "y.png", tiny).run
    assert (run["operator"], run["noise"]) == ("inpaint:keep=0.5,seed=0", "gaussian:0.05")
    (tmp_path / "a.toml").write_text('noise = "poisson:peak=50"\n[[operator]]\nname = "hdr"\ngain = 2\n')
    plan = restore(cat, tiny, operator=str(tmp_path / "a.toml"), preset="map-rps-denoising").run
    assert (plan["operator"], plan["noise"]) == ("hdr:gain=2", "poisson:peak=50")


def test_values_of_no_picture_are_refused_unless_an_operator_is_stated(tiny):
    coefficients = np.linspace(-3, 3, 24 * 24 * 3, dtype=np.float32).reshape(24, 24, 3)
    with pytest.raises(InputError, match="say operator"):
        restore(coefficients, tiny)
    assert restore(coefficients, tiny, operator="sensing:ratio=0.5").image.pixels.shape == (24, 24, 3)


def test_dps_takes_no_sampler(tiny, cat):
    with pytest.raises(InputError, match="a sampler of its own"):
        restore(cat, tiny, operator="inpaint:keep=0.5", posterior="dps", sampler="heun")


def test_covariance_works_with_the_shipped_prior(skimage_data):
    photo = read_photo(skimage_data / "chelsea.png")
    x = photo.with_pixels(photo.pixels[60:124, 150:214])
    y = degrade(x, "inpaint:keep=0.5", 0.05)
    settings = {"operator": "inpaint:keep=0.5", "noise": 0.05, "dial": 1, "steps": 4}
    prior = load_prior("photo", "cpu", torch.float32)
    errors = [
        float(np.square(restore(y, prior, posterior=p, **settings).image.pixels - x.pixels).mean())
        for p in ("covariance", "proximal")
    ]
    assert errors[0] < 1.1 * errors[1] < 0.01


@pytest.mark.parametrize("operator", ["jpeg:quality=10", "downsample:factor=2 + jpeg:quality=10"])
def test_the_rounding_of_a_codec_is_assumed_and_not_stated(tiny, cat, operator):
    """What is stated is what a certificate binds and a degradation adds."""
    y = degrade(cat, operator)
    run = plan_of(tiny, y, Settings(operator=operator)).facts()
    assert run["noise"] == "gaussian:0"
    assert run["noise_std"] == pytest.approx(Jpeg(10).noise_std)
