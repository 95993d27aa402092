import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import tiny_card

from veriscale.diffusion.card import DialTable
from veriscale.errors import InputError
from veriscale.settings import checked
from veriscale.traversal.dial import find_table, sigma_0, weight

TABLE = DialTable(4, 0.0, "heun", 8, [0, 0.1, 0.3, 0.9], [0, 0.3, 0.3, 1.0], [1, 1.3, 1.3, 2], 0.1)


@given(st.floats(0, 1), st.floats(0, 1))
def test_the_start_rises_with_the_dial(a, b):
    low, high = sorted((a, b))
    assert 0 <= sigma_0(TABLE, low) <= sigma_0(TABLE, high) <= 0.9 + 1e-9


def test_ends_are_anchor_and_draw():
    assert sigma_0(TABLE, 0) == 0
    assert sigma_0(TABLE, 1) == 0.9
    assert weight(TABLE, 0) == pytest.approx(2 * TABLE.kappa)  # the far root: as good as the anchor, and no worse
    assert weight(TABLE, 1) == pytest.approx(1)


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
