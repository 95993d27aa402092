"""A certificate is what it was made from, to the last bit, or it is refused."""

import subprocess
import sys
from dataclasses import replace
from fractions import Fraction

import msgspec
import numpy as np
import pytest
from tests.trust.example_certificate import FACTS, SIDE, example_certificate, example_maps

from veriscale.errors import InputError
from veriscale.trust.certificate import Unit, score_quantiles
from veriscale.trust.certificate_file import read_certificate, write_certificate
from veriscale.trust.conformal import Calibration
from veriscale.trust.drift import p_value
from veriscale.trust.facts import ToolFacts
from veriscale.trust.losses.registry import LOSSES, make_loss
from veriscale.trust.modes import Guarantee
from veriscale.trust.staircase import Staircase

ALPHAS = ("0.05", "0.1", "0.2", "0.5")
MODES = {
    "mean": {},
    "leaked": {"leaked": 2},
    "pac": {"mode": "pac", "delta": 0.2},
    "pac-uniform": {"mode": "pac-uniform", "delta": 0.2, "declared": list(ALPHAS)},
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "certificate.json"


# ---- what comes back


@pytest.mark.parametrize("loss", LOSSES)
def test_what_is_read_is_what_was_written(path, loss):
    made = example_certificate(loss, leaked=1)
    written = write_certificate(made, path)
    read = read_certificate(path)
    assert read.binding == made.binding
    assert read.information == made.information
    assert read.sha256 == written.sha256 != ""
    for before, after in zip(made.staircases, read.staircases, strict=True):
        assert np.array_equal(before.scores, after.scores)
        assert np.array_equal(before.losses, after.losses)
        assert (after.scores.dtype, after.losses.dtype) == (np.float32, np.int64)
    assert np.array_equal(read.statistics, made.statistics)
    assert np.array_equal(read.quantiles, made.quantiles)
    assert read.thresholds(ALPHAS).tolist() == made.thresholds(ALPHAS).tolist()
    assert read.loss == make_loss(loss)


def test_any_float32_survives(path):
    tiny, huge = np.finfo(np.float32).smallest_subnormal, np.finfo(np.float32).max
    scores = np.float32([-np.inf, -huge, -1 / 3, -tiny, 0, tiny, 0.1, huge])
    stairs = Staircase(scores, np.array([1, 2, 3, 5, 1 << 20, 1 << 29, (1 << 30) - 1, 1 << 30]))
    none = Staircase(np.float32([]), np.array([], np.int64))
    made = example_certificate("sup", example_maps(3))
    made = replace(made, staircases=(none, stairs, none))
    write_certificate(made, path)
    read = read_certificate(path).staircases
    assert [s.scores.tolist() for s in read] == [[], scores.tolist(), []]
    assert [s.losses.tolist() for s in read] == [[], stairs.losses.tolist(), []]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("loss", LOSSES)
def test_thresholds_are_those_of_the_staircases(path, loss, mode):
    made = example_certificate(loss, **MODES[mode])
    write_certificate(made, path)
    read = read_certificate(path)
    b = made.binding
    promise = {"bound": b.bound, "binary": loss == "violation", "leaked": b.leaked, "delta": b.delta}
    promise |= {"declared": [Fraction(a) for a in b.declared]}
    allowed = [Guarantee(b.mode, 24, **promise).allowance(Fraction(a)) for a in ALPHAS]
    expected = Calibration(made.staircases, b.bound).thresholds(allowed).tolist()
    assert read.thresholds(ALPHAS).tolist() == [read.threshold(a) for a in ALPHAS] == expected
    assert len(set(expected)) > 1
    assert expected != Calibration(made.staircases, b.bound).thresholds([Fraction(a) * 24 for a in ALPHAS]).tolist()


def test_an_infeasible_level_trusts_nothing_and_says_what_would_do():
    few, enough = (example_certificate(maps=example_maps(n)) for n in (18, 19))
    assert few.threshold("0.05") == -np.inf
    assert few.infeasible("0.05") == (
        "With n = 18 units and B = 1 the smallest alpha is 0.0527; alpha 0.05 needs n = 19. "
        "Give an alpha of 0.0527 or more."
    )
    assert few.threshold("0.0527") > -np.inf
    assert enough.infeasible("0.05") is None
    assert enough.threshold("0.05") > -np.inf


@pytest.mark.parametrize("mode", MODES)
def test_why_a_level_is_infeasible_is_the_modes_sentence(mode):
    certificate = example_certificate(maps=example_maps(12), **MODES[mode])
    b = certificate.binding
    given = {"leaked": b.leaked, "delta": b.delta, "declared": [Fraction(a) for a in b.declared]}
    expected = Guarantee(b.mode, 12, 1.0, binary=False, **given).infeasible(Fraction("0.05"))
    assert certificate.infeasible("0.05") == expected is not None
    assert certificate.threshold("0.05") == -np.inf


@pytest.mark.parametrize("alpha", [0, -0.1, "nan", "inf", "many"])
def test_a_level_that_is_none_is_refused(alpha):
    with pytest.raises(InputError, match="risk level"):
        example_certificate().threshold(alpha)


def test_a_level_that_was_not_declared_is_refused():
    with pytest.raises(InputError, match=r"not declared.*0\.05, 0\.1, 0\.2, 0\.5"):
        example_certificate(**MODES["pac-uniform"]).threshold("0.15")


@pytest.mark.parametrize("loss", LOSSES)
def test_the_usual_level(loss):
    assert example_certificate(loss).usual_alpha == ("0.05" if loss == "area" else "0.1")


# ---- shares


@pytest.mark.parametrize("threshold", [-np.inf, -2.0, -0.5, 0.005, 0.5, 2.0, np.inf])
def test_shares_of_trusted_pixels_are_known_to_a_hundredth(path, threshold):
    maps = example_maps()
    write_certificate(example_certificate(maps=maps), path)
    read = read_certificate(path)
    exact = np.array([(score < threshold).mean() for score, _ in maps])
    assert read.shares(threshold) == pytest.approx(exact, abs=0.0101)
    assert ((read.shares(threshold) == 0) >= (exact == 0)).all()  # nothing is made of nothing
    losses = np.array([(score < threshold) & (apart > 0.1) for score, apart in maps]).mean(axis=(1, 2))
    empty, others = read.nonempty(threshold)
    assert empty == (exact == 0).mean()
    assert others == pytest.approx(losses[exact > 0].mean() if (exact > 0).any() else 0, abs=1e-8)


def test_a_unit_whose_lowest_score_is_the_threshold_has_an_empty_mask():
    flat = [(np.full((4, 4), k, np.float32), np.ones((4, 4), np.float32)) for k in range(3)]
    certificate = example_certificate(maps=flat)
    assert certificate.nonempty(1.0) == (2 / 3, 1)
    assert certificate.shares(1.0).tolist() == [1, 0, 0]


def test_quantiles_are_scores_that_are_there():
    score = np.float32([[3, 1, 2]])
    assert set(score_quantiles([score]).tolist()) == {1, 2, 3}
    assert (score_quantiles([score])[0], score_quantiles([score])[-1]) == (1, 3)


def test_pixels_that_can_never_be_trusted_stay_so(path):
    hopeless = [(np.full((4, 4), np.inf, np.float32), np.zeros((4, 4), np.float32))]
    write_certificate(example_certificate(maps=hopeless), path)
    read = read_certificate(path)
    assert read.shares(np.inf).tolist() == [0]
    assert read.nonempty(np.inf)[0] == 1


# ---- what must be the same in use


def test_the_same_restoration_passes_and_one_of_more_facts_does_not(path):
    write_certificate(example_certificate(), path)
    read = read_certificate(path)
    read.check(FACTS)
    with pytest.raises(InputError, match="for seed none, and this is 3"):
        read.check(msgspec.structs.replace(FACTS, seed=3))


@pytest.mark.parametrize("key", FACTS.given())
def test_a_difference_is_named(key):
    with pytest.raises(
        InputError,
        match=f"^The certificate is for {key} .*(leave it to|with the card that|the guides that).*, or calibrate",
    ):
        example_certificate().check(msgspec.structs.replace(FACTS, **{key: "other"}))


def test_a_fact_that_is_missing_is_named():
    sampled = msgspec.structs.replace(FACTS, seed=0)
    with pytest.raises(InputError, match=r"^The certificate is for seed 0, and this is none: "):
        example_certificate(restoration=sampled).check(FACTS)


def test_a_prior_is_no_tool():
    tool = ToolFacts("tool {in} {out}", "0" * 64, FACTS.operator, 4, FACTS.noise)
    with pytest.raises(InputError, match=rf"^The certificate is for prior {'0' * 12}…, and this is none: "):
        example_certificate().check(tool)
    made = example_certificate(restoration=tool)
    assert (made.command, made.dial, example_certificate().command) == ("tool {in} {out}", None, None)
    with pytest.raises(InputError, match=r"^The certificate is for command tool {in} {out}, and this is none: "):
        made.check(FACTS)


def test_hashes_are_shortened():
    certificate = example_certificate(restoration=msgspec.structs.replace(FACTS, prior="a" * 64))
    with pytest.raises(InputError, match=rf"prior {'a' * 12}…, and this is {'b' * 12}…: "):
        certificate.check(msgspec.structs.replace(FACTS, prior="b" * 64))


def test_the_unit_itself_passes():
    example_certificate().check_unit(SIDE, SIDE, 3, 8)


@pytest.mark.parametrize(
    "unit, words",
    [
        ((SIDE, SIDE, 1, 8), r"for RGB pictures and this one is grey\.$"),
        ((SIDE, SIDE, 3, 16), r"of 8 bits and this one has 16; convert it first\.$"),
        ((48, 32, 3, 8), r"of 24×24 and this one would be 48×32; restore a part with crop 3,1,6,6, or .*tile-mean"),
        ((48, 16, 3, 8), r"would be 48×16; calibrate for that size with unit 48x16\.$"),
        ((16, 16, 3, 8), r"would be 16×16; calibrate for that size with unit 16x16\.$"),
        ((48, 48, 3, 16), "16; convert it first"),
    ],
)
def test_another_unit_is_refused(unit, words):
    with pytest.raises(InputError, match=words):
        example_certificate().check_unit(*unit)


def test_tiles_are_units_of_any_size():
    certificate = example_certificate("tile-mean", unit=Unit("picture", None, None, "grey", 8))
    certificate.check_unit(1000, 17, 1, 8)
    with pytest.raises(InputError, match="for grey pictures and this one is RGB"):
        certificate.check_unit(1000, 17, 3, 8)


def test_drift_is_that_of_the_measurements():
    certificate = example_certificate()
    new = np.random.default_rng(2).normal(0, 3, 7)
    assert certificate.drift(new) == p_value(certificate.statistics, new) > 0.05
    assert certificate.drift(new + 100) == 1 / 25


def test_certificates_need_no_torch():
    code = "import sys, veriscale; veriscale.read_certificate; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
