"""A mask trusts what scores below the threshold, and says what that is worth, no more."""

import json
from itertools import pairwise

import numpy as np
import pytest
from tests.trust.example_certificate import FACTS, SIDE, example_certificate, example_maps

from veriscale.errors import InputError
from veriscale.imaging.photo import Photo
from veriscale.trust.certificate import Unit
from veriscale.trust.facts import ToolFacts
from veriscale.trust.losses.registry import LOSSES
from veriscale.trust.measurement_statistics import statistics
from veriscale.workflows.certifying.mask import make_mask

MODES = {
    "mean": {},
    "pac": {"mode": "pac", "delta": 0.05},
    "pac-uniform": {"mode": "pac-uniform", "delta": 0.05, "declared": ["0.3"]},
}
MEASUREMENT = Photo(np.random.default_rng(5).random((12, 12, 3), np.float32))


@pytest.fixture
def score():
    return example_maps(25)[-1][0]  # of a unit that was not calibrated on


def like(certificate):
    """The certificate as if its pictures had been like the measurement."""
    near = statistics(MEASUREMENT.pixels) + np.random.default_rng(0).normal(0, 1, certificate.statistics.shape)
    return type(certificate)(
        certificate.binding, certificate.information, certificate.staircases, near, certificate.quantiles, "f" * 64
    )


def masked(certificate, alpha, score):
    return make_mask(certificate, alpha, score, MEASUREMENT)


def said(mask):
    return " ".join(mask.sentences())


# ---- which pixels


def test_what_scores_below_the_threshold_is_trusted_and_ties_are_not(score):
    certificate = like(example_certificate())
    threshold = certificate.threshold("0.1")
    score[3, 4] = threshold
    score[3, 5] = np.nextafter(np.float32(threshold), np.float32(-np.inf))
    mask = masked(certificate, "0.1", score)
    assert np.array_equal(mask.trusted, score < threshold)
    assert (mask.trusted[3, 4], mask.trusted[3, 5]) == (False, True)
    assert 0 < mask.share < 1
    assert mask.share == mask.trusted.mean()


def test_what_is_infinite_is_never_trusted(score):
    careless = example_certificate(maps=[(s, np.zeros_like(a)) for s, a in example_maps()])
    assert careless.threshold("0.5") == np.inf
    score[0, 0] = np.inf
    mask = masked(like(careless), "0.5", score)
    assert not mask.trusted[0, 0]
    assert mask.trusted.sum() == SIDE**2 - 1


def test_more_risk_trusts_more(score):
    certificate = like(example_certificate("sup"))
    masks = [masked(certificate, alpha, score).trusted for alpha in ("0.1", "0.15", "0.2", "0.3")]
    for less, more in pairwise(masks):
        assert (less <= more).all()
        assert less.sum() < more.sum()


@pytest.mark.parametrize("alpha", [None, 0.05, "0.05", "1/20", "5e-2"])
def test_a_level_may_be_written_in_many_ways(score, alpha):
    certificate = like(example_certificate())
    mask = masked(certificate, alpha, score)
    assert mask.threshold == certificate.threshold("0.05")
    assert "at most 5 % of a picture" in said(mask)
    json.dumps(mask.facts(), allow_nan=False)


@pytest.mark.parametrize("alpha", ["0", "-1", "nan", "much", 0.0, "1e999999999", "1e-999999999", "0." + "3" * 99])
def test_a_level_that_is_none_is_refused(score, alpha):
    with pytest.raises(InputError, match="risk level"):
        masked(example_certificate(), alpha, score)


# ---- what it says


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("loss", LOSSES)
def test_the_promise_is_about_the_average_and_not_about_this_picture(score, loss, mode):
    maps = [(s, a**3) for s, a in example_maps(60)]
    certificate = like(example_certificate(loss, maps, **MODES[mode]))
    text = said(masked(certificate, "0.3", score))
    assert certificate.infeasible("0.3") is None
    assert "it is not a promise about this picture" in text
    assert "the average over RGB pictures of 24×24 pixels of the kind that was calibrated (n = 60)" in text
    assert {
        "area": "at most 30 % of a picture is both trusted and off by more than 0.1 (pointwise discrepancy)",
        "sup": "the worst trusted pixel of a picture is off by at most 0.3 (pointwise discrepancy)",
        "tile-mean": "the worst trusted pixel of a tile of 64×64 is off by at most 0.3 (pointwise discrepancy)",
        "recall": "at most 30 % of a picture's pixels off by more than 0.1 (pointwise discrepancy) are trusted",
        "violation": "at most 30 % of pictures have a trusted pixel off by more than 0.1 (pointwise discrepancy)",
    }[loss] in text
    expected = {
        "mean": "over calibration sets and new pictures together",
        "pac": "With 95 % confidence in the calibration, for the level fixed before looking",
        "pac-uniform": "With 95 % confidence in the calibration, for "
        + ("every level at once" if loss == "violation" else "all declared levels at once"),
    }
    assert expected[mode] in text
    assert ("for the level fixed before looking" in text) == (mode != "pac-uniform")
    assert "pictures from another source are not exchangeable with the 60" in text


def test_a_promise_about_folders_and_tiles_says_so(score):
    folders = example_certificate("sup", unit=Unit("folder", SIDE, SIDE, "grey", 8))
    text = said(masked(like(folders), "0.3", score))
    assert "are not exchangeable with the 24 folders that were used" in text
    assert "a folder of pictures is off by at most 0.3" in text
    assert "over calibration sets and new folders of pictures together" in text
    tiles = example_certificate("tile-mean", unit=Unit("picture", None, None, "RGB", 8))
    assert "the average over RGB pictures of the kind that was" in said(masked(like(tiles), "0.3", score))


def test_a_promise_about_a_tool_says_where_it_ends(score):
    plain = like(example_certificate())
    assert "tool" not in said(masked(plain, "0.1", score))
    facts = ToolFacts("tool {in} {out}", "0" * 64, FACTS.operator, 4, FACTS.noise)
    tool = like(example_certificate(restoration=facts))
    tool.information["timeout"] = 90.0
    assert "It speaks of the pictures on which the tool succeeds within 90 s." in said(masked(tool, "0.1", score))
    assert "failed on" not in said(masked(tool, "0.1", score))
    tool.information["failed"] = {"a.png": "a.png: no luck", "b.png": "b.png: no luck"}
    assert "The tool failed on 2 of the calibration pictures." in said(masked(tool, "0.1", score))


def test_an_infeasible_level_trusts_nothing_and_says_why(score):
    certificate = like(example_certificate(maps=example_maps(18)))
    mask = masked(certificate, "0.05", score)
    assert not mask.trusted.any()
    assert mask.warning == certificate.infeasible("0.05")
    assert f"At this level nothing can be trusted. {mask.warning}" in said(mask)
    assert "alpha 0.05 needs n = 19" in mask.warning


def test_an_unlike_measurement_is_said_aloud(score):
    near, far = like(example_certificate()), example_certificate()
    assert masked(near, "0.1", score).warning is None
    assert "this measurement is not unlike those of the calibration (p = " in said(masked(near, "0.1", score))
    mask = masked(far, "0.1", score)
    assert mask.drift == 1 / 25
    assert mask.unlike
    assert "is unlike those the certificate was made from (drift p-value 0.04)" in mask.warning
    assert "this measurement is unlike those of the calibration (p = 0.04)" in said(mask)
    both = masked(example_certificate(maps=example_maps(22)), "0.04", score).warning
    assert "is unlike" in both
    assert "alpha 0.04 needs n = 24" in both


def test_a_jpeg_is_said_aloud_where_calibration_had_none(score):
    jpeg = Photo(MEASUREMENT.pixels, lossy="a JPEG of quality 40")
    plain = make_mask(like(example_certificate()), "0.1", score, jpeg)
    assert "came as a JPEG of quality 40, and those of the calibration did not" in plain.warning
    facts = FACTS.measured_by("downsample:factor=4,kernel=bicubic + jpeg:quality=40", FACTS.noise)
    assert make_mask(like(example_certificate(restoration=facts)), "0.1", score, jpeg).warning is None


def test_too_few_pictures_cannot_warn_and_say_so(score):
    few = example_certificate(maps=example_maps(19))
    assert "of 19 pictures p is never below 0.05" in said(masked(few, "0.1", score))
    assert "is never below" not in said(masked(example_certificate(maps=example_maps(20)), "0.1", score))


@pytest.mark.parametrize(
    "loss, discrepancy, promise, floor",
    [
        ("sup", "pointwise", {}, True),
        ("sup", "neighbourhood", {}, False),
        ("sup", "lab", {}, False),
        ("area", "pointwise", {}, False),
        ("tile-mean", "pointwise", {}, False),
        ("sup", "pointwise", MODES["pac"], False),
    ],
)
def test_a_floor_of_the_psnr_only_where_there_is_one(score, loss, discrepancy, promise, floor):
    certificate = like(example_certificate(loss, discrepancy=discrepancy, **promise))
    mask = masked(certificate, "0.2", score)
    assert (mask.floor() is not None) == floor
    assert ("PSNR" in said(mask)) == floor
    if floor:
        empty, others = certificate.nonempty(mask.threshold)
        assert "at least 14.0 dB on average, an empty mask counting as infinite" in mask.floor()
        assert f"{empty:.0%} had an empty one, and the mean loss over the others was {others:.3g}." in mask.floor()
    for alpha in ("0.01", "1"):  # infeasible; no floor at all
        assert masked(certificate, alpha, score).floor() is None


def test_facts_are_json(score):
    for certificate, alpha in (
        (example_certificate(), "0.1"),
        (example_certificate(), "0.01"),
        (example_certificate("sup"), "1"),
    ):
        mask = masked(like(certificate), alpha, score)
        facts = json.loads(json.dumps(mask.facts(), allow_nan=False))
        assert facts["alpha"] == alpha
        assert facts["sha256"] == "f" * 64
        assert facts["trusted_share"] == mask.share
        assert facts["drift_p_value"] == mask.drift
        assert facts["threshold"] == (mask.threshold if np.isfinite(mask.threshold) else None)
