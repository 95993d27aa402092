import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import tiny_card

from veriscale.diffusion.card import DialTable
from veriscale.errors import InputError
from veriscale.physics.registry import parse_operator
from veriscale.settings import checked
from veriscale.traversal.dial import best_path, check_sigma_0, find_table, sigma_0, weight

TABLE = DialTable(4, 0.0, "heun", 8, [0, 0.1, 0.3, 0.9], [0, 0.3, 0.3, 1.0], [1, 1.3, 1.3, 2], 0.1)


@given(st.floats(0, 1), st.floats(0, 1))
def test_the_start_rises_with_the_dial(a, b):
    low, high = sorted((a, b))
    assert 0 <= sigma_0(TABLE, low) <= sigma_0(TABLE, high) <= 0.9 + 1e-9


def test_ends_are_anchor_and_draw():
    assert sigma_0(TABLE, 0) == 0
    assert sigma_0(TABLE, 1) == 0.9
    assert weight(TABLE, 0) == 0
    assert weight(TABLE, 1) == pytest.approx(1)


def with_kappa(kappa: float) -> DialTable:
    return DialTable(4, 0.0, "heun", 8, [0, 0.2, 0.9], [0, 0, 1], [1, 1, 2], kappa)


@pytest.mark.parametrize("kappa", [-0.1, 0.0, 0.05, 0.2, 0.45])
def test_the_dial_has_no_jump(kappa):
    """From the anchor on: nowhere more than what a hundredth of the way to it would be, however kappa is."""
    table = with_kappa(kappa)
    for at in (sigma_0, weight):
        assert at(table, 1e-8) < 2e-3
        positions = np.linspace(0, 1, 100_001)
        found = np.array([at(table, f) for f in positions])
        assert (np.diff(found) >= 0).all()
        assert np.diff(found)[10:].max() < 6e-3


@pytest.mark.parametrize("kappa", [-0.1, 0.0, 0.05, 0.2, 0.45])
def test_a_hundredth_of_the_dial_is_next_to_the_anchor(kappa):
    w = weight(with_kappa(kappa), 0.01)
    assert 0 <= (w * w - 2 * kappa * w) / (1 - 2 * kappa) <= 0.05


def test_a_start_that_costs_nothing_is_not_jumped_to():
    """The table has a share of 0 at 0.2: a dial near 0 is near a start of 0 all the same."""
    assert sigma_0(with_kappa(0.1), 1e-6) < 1e-4
    assert sigma_0(with_kappa(0.1), 0.01) > 0.2


def test_the_weight_meets_the_definition_on_gaussians():
    # Truth and draw share a mean that the anchor misses: kappa > 0, and sqrt(f) would overshoot.
    rng = np.random.default_rng(0)
    n = 400_000
    offset = 0.5 * rng.standard_normal(n)
    truth, draw = offset + rng.standard_normal(n), offset + rng.standard_normal(n)
    kappa = float((draw * truth).mean() / np.square(draw).mean())
    table = DialTable(4, 0.0, "heun", 8, [0, 1], [0, 1], [1, 2], kappa)

    def extra(w: float) -> float:
        return float(np.square(w * draw - truth).mean() - np.square(truth).mean())

    for f in (0.25, 0.5, 0.75):
        assert extra(weight(table, f)) / extra(1) == pytest.approx(f, abs=0.01)
    assert abs(extra(0.5**0.5) / extra(1) - 0.5) > 0.05


@pytest.mark.parametrize("dials", [[], [-0.1], [1.1], [float("nan")]])
def test_positions_outside_are_refused(dials):
    with pytest.raises(InputError):
        checked(dials)


def test_positions_are_as_asked_for_and_given_once():
    assert checked([1, 0, 0.5, 0.5]) == (1, 0, 0.5)


def test_a_missing_table_says_which_were_measured():
    with pytest.raises(InputError, match="heun with 8 steps"):
        find_table(tiny_card(), 4, 0.0, "heun", 9)


@pytest.mark.parametrize(
    "text, path",
    [
        ("inpaint:keep=0.5", "renoise"),
        ("sensing:ratio=0.5", "interpolate"),
        ("downsample:factor=4", "interpolate"),
        ("blur:kernel=gaussian,std=3", "interpolate"),
    ],
)
def test_the_better_path_is_that_of_the_card_for_this_kind_of_operator(text, path):
    mode = msgspec.structs.replace(tiny_card().modes[0], mask_path="renoise")
    assert best_path(mode, parse_operator(text)) == path


def test_a_start_that_was_asked_for_is_checked():
    assert [check_sigma_0(s, 0.74) for s in (0.0, 0.3, 0.74)] == [0.0, 0.3, 0.74]
    for wrong in (-0.1, 0.75, 1e9, float("nan"), float("inf")):
        with pytest.raises(InputError, match="outside"):
            check_sigma_0(wrong, 0.74)
    with pytest.raises(InputError, match=r"\[0, 0.276\]"):  # not 0.277, which is above it
        check_sigma_0(0.277, 0.27699)
