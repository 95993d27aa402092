"""The temperature: 1 where draws differ as much as they err, and what makes them so elsewhere."""

import math

import msgspec
import pytest
from tests.stages.test_score import prior_with, slices

from veriscale.stages import card_measurements, temperature
from veriscale.stages.temperature import SPREAD_SKILL, measure_spread_skill, spread_doubt, temperature_of

STEPS = 12  # of Heun, so that a sampler's error is none of the draws' spread


@pytest.fixture(autouse=True)
def every_pixel(monkeypatch):
    """Foreground, so that what is trained for is what is measured."""
    monkeypatch.setattr(temperature, "FLOOR", -10.0)
    monkeypatch.setattr(temperature, "DIAL_CROP", 160)


def test_it_is_one_where_draws_differ_as_much_as_they_err_and_the_inverse_elsewhere():
    """Draws are the mean and white noise of a factor times the residual's root mean square."""
    ratios = {f: measure_spread_skill(prior_with(f), slices(4), "heun", STEPS) for f in (0.5, 1.0, 2.0)}
    found = {f: temperature_of(ratio) for f, ratio in ratios.items()}
    # The mean of eight draws errs by the mean of their noise too, f²/8 of the residual's square.
    for factor, at in found.items():
        expected = ((1 + factor**2 / 8) / (9 / 8 * factor**2)) ** 0.5
        assert at == pytest.approx(expected, rel=0.03)
    assert found[1.0] == pytest.approx(1, abs=0.03)


def test_it_is_of_the_foreground_alone(monkeypatch):
    """In air draws differ and nothing errs, which would make them seem wild."""
    prior = prior_with(1.0)
    whole = measure_spread_skill(prior, slices(), "heun", 2)
    monkeypatch.setattr(temperature, "FLOOR", 0.05)
    assert measure_spread_skill(prior, slices(), "heun", 2) < whole / 1.02
    monkeypatch.setattr(temperature, "FLOOR", 10.0)
    assert measure_spread_skill(prior, slices(), "heun", 2) == math.inf  # of nothing


@pytest.mark.parametrize(
    "ratio, factor, doubt",
    [(0.0, 1.0, "do not differ: .std says nothing"), (math.inf, 1.0, "or they have no foreground"), (0.8, 1.25, None)],
)
def test_a_temperature_for_want_of_another_is_said(monkeypatch, ratio, factor, doubt):
    """Of a collapsed prior 1 looks like that of a calibrated one."""
    for name in ("level_ratio", "variance", "path_rule"):
        monkeypatch.setattr(card_measurements, f"measure_{name}", lambda prior, *_: prior.card.modes)
    monkeypatch.setattr(card_measurements, "measure_anchor_rule", lambda prior, *_: prior.card.modes[0])
    for name in ("calm", "dial", "consistency"):
        monkeypatch.setattr(card_measurements, f"measure_{name}", lambda prior, *_, key=name: getattr(prior.card, key))
    monkeypatch.setattr(card_measurements, "measure_spread_skill", lambda *_: ratio)
    card = card_measurements.measured(prior_with(1.0), slices(), lambda line: None)
    assert card.temperature == factor
    assert card.metrics.get(SPREAD_SKILL) == (None if ratio == math.inf else ratio)
    said = spread_doubt(card)
    assert said is None if doubt is None else doubt in said


def test_it_decides_no_picture():
    card = prior_with(1.0).card
    hot = msgspec.structs.replace(card, temperature=1.3)
    assert all(card.deciding_sha256(s) == hot.deciding_sha256(s) for s in (0, 2, 4))
