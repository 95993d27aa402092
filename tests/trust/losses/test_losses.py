"""Each loss equals its definition, pixel by pixel and at every threshold."""

from fractions import Fraction
from math import inf, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tests.trust.brute_force import candidates, hard_set, loss_at, stored_loss_at

from veriscale.errors import InputError
from veriscale.trust.losses.bad_pixels import Area, Recall
from veriscale.trust.losses.registry import LOSSES, make_loss, staircase
from veriscale.trust.losses.worst_pixel import TileMean
from veriscale.trust.staircase import RESOLUTION

SMALL = {
    name: make_loss(name, tau) for name, tau in [("area", 0.3), ("recall", 0.3), ("violation", 0.3), ("sup", None)]
}
SMALL["tile-mean"] = make_loss("tile-mean", tile=2)


def hard_units(count, bound):
    rng = np.random.default_rng(0)
    for _ in range(count):
        yield from hard_set(rng, bound)


def maps(*pairs):
    return [(np.float32([score]), np.float32([d])) for score, d in pairs]


@pytest.mark.parametrize("bound", [1.0, 2.0, 0.7])
@pytest.mark.parametrize("loss", SMALL.values(), ids=SMALL)
def test_definition_at_every_threshold(loss, bound):
    top, differs = loss.bound(bound), 0
    for unit in hard_units(40, bound):
        steps = staircase(loss, unit, bound)
        for t in (*candidates([unit]), -inf, 0.25):
            assert steps.at(t) * Fraction(top) / RESOLUTION == stored_loss_at(loss, unit, t, bound)
            differs += stored_loss_at(loss, unit, t, bound) != loss_at(loss, unit, t, bound, np.less_equal)
    assert differs > 0  # a mask with ≤ would be seen


@pytest.mark.parametrize("loss", SMALL.values(), ids=SMALL)
def test_few_steps_only_overstate(loss):
    for unit in hard_units(20, 1.0):
        full, few = staircase(loss, unit, 1.0), staircase(loss, unit, 1.0, limit=2)
        t = np.array([*candidates([unit]), 0.25])
        assert few.losses.size <= 2
        assert (few.at(t) >= full.at(t)).all()


@given(
    arrays(np.float32, (3, 7), elements=st.floats(width=32, allow_nan=False)),
    arrays(np.float32, (3, 7), elements=st.floats(0, 1, width=32)),
)
def test_sup_in_the_order_of_any_float(score, d):
    steps = staircase(SMALL["sup"], [(score, d)], 1.0)
    for t in (*candidates([[(score, d)]]), 0.0, -0.0):
        assert steps.at(t) / RESOLUTION == float(stored_loss_at(SMALL["sup"], [(score, d)], t, 1.0))


signed = st.sampled_from([-0.0, 0.0, 0.25, 0.5, 1.0])


@pytest.mark.parametrize("loss", SMALL.values(), ids=SMALL)
@given(
    arrays(np.float32, (3, 7), elements=st.sampled_from([-1.0, -0.0, 0.0, 1.0])),
    arrays(np.float32, (3, 7), elements=signed),
)
def test_the_sign_of_zero_decides_nothing(loss, score, d):
    """−0.0 is no smaller and no larger than 0.0, though its bits lie above those of every other number."""
    steps, plain = (staircase(loss, [pair], 1.0) for pair in ((score, d), (score + 0, d + 0)))
    assert steps.scores.tobytes() == plain.scores.tobytes()
    assert steps.losses.tobytes() == plain.losses.tobytes()
    for t in (*candidates([[(score, d)]]), 0.0, -0.0):
        exact = stored_loss_at(loss, [(score, d)], t, 1.0)
        assert steps.at(t) * Fraction(loss.bound(1.0)) / RESOLUTION == exact


def test_a_unit_is_all_its_pictures():
    unit = maps(([1, 2], [0.5, 0.25]), ([0, 3], [0.125, 1]))
    t = np.array([0, 0.5, 1.5, 2.5, inf])
    for name, values in {
        "sup": [0, 1 / 8, 1 / 2, 1 / 2, 1],
        "area": [0, 0, 1 / 4, 1 / 4, 1 / 2],
        "recall": [0, 0, 1 / 2, 1 / 2, 1],
        "tile-mean": [0, 1 / 16, 5 / 16, 5 / 16, 3 / 4],  # both pictures are one tile each
        "violation": [0, 0, 1, 1, 1],
    }.items():
        assert (staircase(SMALL[name], unit, 1.0).at(t) / RESOLUTION).tolist() == values, name


def test_edge_tiles_count_as_tiles():
    score, d = np.zeros((3, 5), np.float32), np.zeros((3, 5), np.float32)
    d[2, 4] = 1  # alone in the sixth tile
    assert staircase(SMALL["tile-mean"], [(score, d)], 1.0).at(inf) == -(-RESOLUTION // 6)


def test_outside_of_the_domain_is_never_trusted_and_still_counts():
    unit = maps(([0, inf, inf, inf], [1, 1, 1, 0]))
    assert staircase(SMALL["area"], unit, 1.0).at(inf) == RESOLUTION // 4
    assert staircase(SMALL["recall"], unit, 1.0).at(inf) == -(-RESOLUTION // 3)
    for name in SMALL:
        assert staircase(SMALL[name], maps(([inf], [1])), 1.0).losses.size == 0


@pytest.mark.parametrize("name", SMALL)
def test_a_missing_reference_costs_the_bound(name):
    for bound in (2.0, 0.7):
        assert staircase(SMALL[name], maps(([0], [inf])), bound).losses.tolist() == [RESOLUTION]


def test_tau_itself_is_not_bad():
    unit = maps(([0, 0], [0.3, np.nextafter(np.float32(0.3), 1)]))
    assert staircase(SMALL["area"], unit, 1.0).at(inf) == RESOLUTION // 2


def test_nothing_bad_costs_nothing():
    for name in SMALL:
        assert staircase(SMALL[name], maps(([0, 1], [0, 0])), 1.0).losses.size == 0


@pytest.mark.parametrize(
    "score, d, sentence",
    [
        ([0, nan], [0, 0], "score is NaN at row 0, column 1"),
        ([0, 1], [0, nan], "discrepancy is nan at row 0, column 1"),
        ([0, 1], [1.5, inf], r"discrepancy is 1.5 at row 0, column 0, outside of 0 to B = 1"),
        ([0, 1], [0, -0.5], r"discrepancy is -0.5"),
        ([0, 1], [0], "one shape"),
        ([], [], "without a pixel"),
    ],
)
@pytest.mark.parametrize("name", SMALL)
def test_maps_that_cannot_be_are_refused(name, score, d, sentence):
    with pytest.raises(InputError, match=sentence):
        staircase(SMALL[name], maps((score, d)), 1.0)


def test_a_discrepancy_at_the_bound_in_single_precision_is_within_it():
    assert staircase(SMALL["sup"], maps(([0], [0.1])), 0.1).losses.tolist() == [RESOLUTION]


def test_defaults_and_bounds():
    assert make_loss("area") == Area(tau=0.1)
    assert make_loss("tile-mean") == TileMean(tile=64)
    assert make_loss("recall", tau=0) == Recall(tau=0)
    assert {name: make_loss(name).bound(2.0) for name in LOSSES} == {
        "area": 1, "sup": 2, "tile-mean": 2, "recall": 1, "violation": 1
    }  # fmt: skip
    assert [name for name in LOSSES if make_loss(name).binary] == ["violation"]


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (("aera",), r"did you mean 'area'\? known: area, sup, tile-mean, recall, violation"),
        (("sup", 0.1), "no tau"),
        (("tile-mean", 0.1), "no tau"),
        (("area", None, 64), "no tile"),
        (("area", -0.1), "tau=-0.1 is out of range"),
        (("area", nan), "tau=nan is out of range"),
        (("tile-mean", None, 0), "tile=0 is out of range"),
    ],
)
def test_settings_that_make_no_loss_are_refused(arguments, sentence):
    with pytest.raises(InputError, match=sentence):
        make_loss(*arguments)
