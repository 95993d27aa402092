"""Factors between and above the encoder's: by way of those it knows, said aloud, at dial 0 alone."""

import json

import numpy as np
import pytest

import veriscale
from veriscale.errors import InputError
from veriscale.imaging.resize import resize
from veriscale.imaging.write import write_photo
from veriscale.workflows.restoring.chain import scales_to


@pytest.mark.parametrize(
    "scale, way",
    [
        (1.5, (2,)),
        (2.5, (3,)),
        (3.2, (4,)),
        (5, (3, 2)),
        (6, (3, 2)),
        (7, (4, 2)),
        (8, (4, 2)),
        (9, (3, 3)),
        (16, (4, 4)),
    ],
)
def test_the_way_is_the_smallest_that_reaches_and_the_shorter_of_two(scale, way):
    assert scales_to(scale, [2, 3, 4]) == way
    assert scales_to(scale, [4, 3, 2]) == way


@pytest.mark.parametrize("scale", [1, 0, -4, 16.1, float("inf")])
def test_what_no_way_reaches_is_refused(scale):
    with pytest.raises(InputError, match="give a number above 1 and up to 16"):
        scales_to(scale, [2, 3, 4])


def test_eight_is_four_and_then_two(tiny, cat):
    by_hand = veriscale.restore(veriscale.restore(cat, tiny, scale=4, noise=0.02).image, tiny, scale=2).image
    result = veriscale.restore(cat, tiny, scale=8, noise=0.02)
    assert np.array_equal(result.image.pixels, by_hand.pixels)
    assert not np.array_equal(by_hand.pixels, veriscale.restore(cat, tiny, scale=8).image.pixels)  # the noise is heard
    assert result.run["chain"] == "×4, then ×2 on the result"
    assert result.run["operator"] == "downsample:factor=8,kernel=bicubic"
    assert result.measurement is cat


@pytest.mark.parametrize("scale, by", [(2.5, 3), (1.5, 2)])
def test_between_two_scales_the_larger_is_resampled(tiny, cat, scale, by):
    expected = resize(veriscale.restore(cat, tiny, scale=by).image.pixels, round(42 * scale), round(48 * scale))
    result = veriscale.restore(cat, tiny, scale=scale)
    assert np.array_equal(result.image.pixels, expected)
    assert result.run["chain"] == f"×{by}, then bicubic down to the size"


def test_transparency_depth_and_resolution_survive(tiny, cat):
    alpha = np.full(cat.pixels.shape[:2], 0.5, np.float32)
    made = veriscale.restore(veriscale.Photo(cat.pixels, alpha, 16, dpi=(100.0, 100.0)), tiny, scale=2.5).image
    assert (made.bit_depth, made.dpi) == (16, (250.0, 250.0))
    np.testing.assert_allclose(made.alpha, 0.5, atol=1e-6)
    plain = veriscale.restore(veriscale.Photo(cat.pixels / 2, bit_depth=16), tiny, scale=2.5).image
    np.testing.assert_allclose(made.pixels / 2, plain.pixels, atol=1e-6)


def test_a_part_and_a_report(tiny, cat, tmp_path):
    write_photo(cat, tmp_path / "cat.png")
    (run,) = veriscale.restore_files(tmp_path / "cat.png", prior=tiny, scale=5, crop="4,2,16,10", report=True)
    assert veriscale.read_photo(tmp_path / "cat_x5.png").pixels.shape == (50, 80, 3)
    assert "then ×2 on the result, then bicubic down" in (tmp_path / "cat_x5_report.html").read_text()
    assert run["chain"] == "×3, then ×2 on the result, then bicubic down to the size"


def test_a_run_is_repeated_and_said(tiny, cat, tmp_path):
    write_photo(cat, tmp_path / "cat.png")
    said = []
    first, second = tmp_path / "first", tmp_path / "second"
    veriscale.restore_files(tmp_path / "cat.png", first, tiny, scale=2.5, say=said.append)
    assert said[0].startswith(f"{tmp_path}/cat.png: 48×42 to 120×105, ×2.5: ×3, then bicubic down to the size; ")
    assert said[0].endswith("so no spread, mask or certificate.")
    veriscale.restore_files([], second, tiny, repeat=first / "cat_x2.5.run.json")
    assert (first / "cat_x2.5.png").read_bytes() == (second / "cat_x2.5.png").read_bytes()
    runs = [json.loads((f / "cat_x2.5.run.json").read_text()) for f in (first, second)]
    assert runs[0]["arguments"]["scale"] == runs[1]["arguments"]["scale"] == 2.5


@pytest.mark.parametrize(
    "asked, name",
    [
        ({"dial": 1}, "dial"),
        ({"dial": "0,1"}, "dial"),
        ({"samples": 2}, "samples"),
        ({"consistent": True}, "consistent"),
        ({"anchor": "fast"}, "anchor"),
        ({"preset": "map-rps-sr4"}, "preset"),
    ],
)
def test_what_is_of_one_step_is_refused_by_name(tiny, cat, asked, name):
    with pytest.raises(
        InputError, match=rf"^{name} is for what the prior's encoder knows, ×2, ×3, ×4, and ×8 is ×4, then"
    ):
        veriscale.restore(cat, tiny, scale=8, **asked)


def test_a_certificate_and_evaluations_are_of_the_encoders_scales(tiny, cat, few, output):
    certificate = veriscale.calibrate(few, output, prior=tiny)
    with pytest.raises(InputError, match=r"^certificate is for what the prior's encoder knows"):
        veriscale.restore(cat, tiny, scale=8, certificate=certificate, alpha=0.3)
    with pytest.raises(InputError, match="does not know scale ×8; it knows ×2, ×3, ×4"):
        veriscale.evaluate(few, tiny, scale=8)
    with pytest.raises(InputError, match=r"does not know scale ×2\.5; it knows ×2, ×3, ×4"):
        veriscale.calibrate(few, output, prior=tiny, scale=2.5, force=True)
