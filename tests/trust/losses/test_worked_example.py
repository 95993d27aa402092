"""The loss that CONTRIBUTING.md shows is one."""

import re
from fractions import Fraction
from math import inf
from pathlib import Path

import numpy as np
import pytest
from tests.trust.brute_force import candidates, hard_set, stored
from tests.trust.example_certificate import example_certificate, example_maps

from veriscale.errors import InputError
from veriscale.imaging.photo import Photo
from veriscale.trust.certificate_file import read_certificate, write_certificate
from veriscale.trust.conformal import Calibration
from veriscale.trust.losses import registry
from veriscale.workflows.certifying.mask import make_mask

CONTRIBUTING = Path(__file__).parents[3] / "CONTRIBUTING.md"


@pytest.fixture
def loss(monkeypatch):
    text = CONTRIBUTING.read_text(encoding="utf-8").partition("## A worked example: a loss in one file")[2]
    code = re.search(r"```python\n(.*?)```", text, re.DOTALL)[1]
    names: dict[str, object] = {"__name__": "mean_error"}
    exec(compile(code, "CONTRIBUTING.md", "exec"), names)
    monkeypatch.setitem(registry.LOSSES, "mean-error", names["MeanError"])
    return registry.make_loss("mean-error")


def by_definition(unit, t, bound):
    """In fractions, pixel by pixel."""
    off = [d for score, apart in unit for s, d in zip(score.ravel(), apart.ravel(), strict=True) if s < t and s < inf]
    return sum((stored(Fraction(min(float(d), bound)), bound) for d in off), Fraction(0)) / sum(s.size for s, _ in unit)


def test_it_is_its_definition(loss):
    rng = np.random.default_rng(0)
    for _ in range(20):
        bound = float(rng.choice([1, 2, 0.7]))
        units = hard_set(rng, bound)
        for unit in units:
            stairs = registry.staircase(loss, unit, bound)
            for t in candidates([unit]):
                assert Fraction(stairs.at(t)) * Fraction(bound) / 2**30 == stored(by_definition(unit, t, bound), bound)
        calibration = Calibration(tuple(registry.staircase(loss, u, bound) for u in units), loss.bound(bound))
        alpha = Fraction(1, 5) * Fraction(bound)
        losses = calibration.losses_at(calibration.leave_one_out([alpha]))
        assert losses.mean() <= alpha


def test_nothing_else_has_to_know_it(loss, tmp_path):
    with pytest.raises(InputError, match="known: area, sup, tile-mean, recall, violation, mean-error"):
        registry.make_loss("mean-eror")
    with pytest.raises(InputError, match="has no tau; leave tau out, or use one of area, recall and violation"):
        registry.make_loss("mean-error", tau=0.1)
    write_certificate(example_certificate("mean-error"), tmp_path / "a.json")
    certificate = read_certificate(tmp_path / "a.json")
    assert (certificate.loss, certificate.usual_alpha) == (loss, "0.1")
    score = example_maps(25)[-1][0]
    mask = make_mask(certificate, "0.05", score, Photo(np.zeros((12, 12, 3), np.float32)))
    assert 0 < mask.share <= 1
    assert "the trusted part of a picture is off by at most 0.05 in the mean over the whole" in mask.sentences()[0]
