"""The temperature: 1 where draws differ as much as they err, and what makes them so elsewhere."""

import msgspec
import pytest
from tests.stages.test_score import prior_with, slices

from veriscale.stages import temperature
from veriscale.stages.temperature import measure_temperature

STEPS = 24  # of Heun, so that a sampler's error is none of the draws' spread


@pytest.fixture(autouse=True)
def every_pixel(monkeypatch):
    """Foreground, so that what is trained for is what is measured."""
    monkeypatch.setattr(temperature, "FLOOR", -10.0)
    monkeypatch.setattr(temperature, "DIAL_CROP", 160)


def test_it_is_one_where_draws_differ_as_much_as_they_err_and_the_inverse_elsewhere():
    """Draws are the mean and white noise of a factor times the residual's root mean square."""
    found = {f: measure_temperature(prior_with(f), slices(), "heun", STEPS) for f in (0.5, 1.0, 2.0)}
    # The mean of eight draws errs by the mean of their noise too, f²/8 of the residual's square.
    for factor, at in found.items():
        expected = ((1 + factor**2 / 8) / (9 / 8 * factor**2)) ** 0.5
        assert at == pytest.approx(expected, rel=0.03)
    assert found[1.0] == pytest.approx(1, abs=0.03)


def test_it_is_of_the_foreground_alone(monkeypatch):
    """In air draws differ and nothing errs, which would make them seem wild."""
    prior = prior_with(1.0)
    whole = measure_temperature(prior, slices(), "heun", 2)
    monkeypatch.setattr(temperature, "FLOOR", 0.05)
    assert measure_temperature(prior, slices(), "heun", 2) > 1.02 * whole
    monkeypatch.setattr(temperature, "FLOOR", 10.0)
    assert measure_temperature(prior, slices(), "heun", 2) == 1  # of nothing


def test_it_decides_no_picture():
    card = prior_with(1.0).card
    hot = msgspec.structs.replace(card, temperature=1.3)
    assert all(card.deciding_sha256(s) == hot.deciding_sha256(s) for s in (0, 2, 4))
