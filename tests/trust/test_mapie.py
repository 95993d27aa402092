"""MAPIE as an external judge: the same threshold for the recall of bad pixels, the same p-values."""

import warnings
from fractions import Fraction

import numpy as np
import pytest

from veriscale.trust.conformal import Calibration
from veriscale.trust.losses.registry import make_loss, staircase
from veriscale.trust.modes import Guarantee

control = pytest.importorskip("mapie.risk_control", reason="MAPIE is not installed")
methods = pytest.importorskip("mapie.risk_control.methods")

GRID = np.linspace(-0.0005, 1.0005, 201)  # from below every score to above, and on none of them
RECALL = make_loss("recall", tau=0.5)


def scores_of_bad_pixels(n, seed):
    """Scores and badness of n pictures of 30 pixels, both (n, 30), at least one bad pixel in each."""
    rng = np.random.default_rng(seed)
    score = rng.integers(101, size=(n, 30)).astype(np.float32) / 100  # with ties
    bad = rng.random((n, 30)) < 0.1 + 0.6 * score
    bad[:, 0] = True
    return score, bad


def theirs(score, bad, alphas, method="crc", **options):
    """MAPIE flags what is above λ and asks for a recall of 1 − alpha."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # infeasible levels
        judge = control.MultiLabelClassificationController(
            lambda x: x, "recall", method, [1 - float(a) for a in alphas], predict_params=GRID, **options
        )
        return judge.calibrate(score, bad).best_predict_param


def ours(score, bad, allowed):
    """The largest λ of the grid that our threshold reaches; score < λ and score ≤ λ are the same on it."""
    units = tuple(
        staircase(RECALL, [(s[None], b[None].astype(np.float32))], 1.0) for s, b in zip(score, bad, strict=True)
    )
    t = Calibration(units, 1.0).thresholds(allowed)
    return GRID[np.maximum(np.searchsorted(GRID, t, side="right") - 1, 0)]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("n", [20, 57])
def test_threshold_for_recall_equals_conformal_risk_control(n, seed):
    score, bad = scores_of_bad_pixels(n, seed)
    alphas = [Fraction(k, 997) for k in range(60, 700, 40)]  # a prime, so that no sum is exactly what is allowed
    answer = theirs(score, bad, alphas)
    assert (
        ours(score, bad, [Guarantee("mean", n, 1.0, binary=False).allowance(a) for a in alphas]).tolist()
        == answer.tolist()
    )
    assert len(set(answer)) > 5
    careless = ours(score, bad, [a * n for a in alphas])  # without the B of the unit to come
    assert (careless != answer).any()


def test_on_the_edge_only_exact_numbers_find_the_threshold():
    """alpha (n + 1) = B: MAPIE wants a risk below alpha, and its alpha is 1 − 0.9 = 0.09999999999999998."""
    score, bad = scores_of_bad_pixels(9, 0)
    alpha = Fraction("0.1")
    allowed = Guarantee("mean", 9, 1.0, binary=False).allowance(alpha)
    assert allowed == 0
    assert ours(score, bad, [allowed])[0] == GRID[score[bad].min() > GRID].max()
    assert theirs(score, bad, [alpha])[0] == GRID[0]  # what it answers where nothing is feasible


@pytest.mark.parametrize("seed", range(3))
def test_hoeffding_bentkus_is_never_below_their_hoeffding(seed):
    score, bad = scores_of_bad_pixels(57, seed)
    alphas = [Fraction(k, 997) for k in range(60, 700, 40)]
    weaker = theirs(score, bad, alphas, "rcps", confidence_level=0.9, rcps_bound="hoeffding")
    allowed = [Guarantee("pac", 57, 1.0, binary=False, delta=0.1).allowance(a) for a in alphas]
    assert (ours(score, bad, allowed) >= weaker).all()
    assert (ours(score, bad, allowed) > weaker).any()


@pytest.mark.parametrize("n", [20, 57, 300])
def test_allowed_total_is_the_largest_that_their_p_value_accepts(n):
    for a in (Fraction(k, 997) for k in range(20, 900, 40)):
        total = Guarantee("pac", n, 1.0, binary=False, delta=0.1).allowance(a)
        # just below: at a whole total itself its ceiling of n · (total / n) can be one too high
        tried = np.array([0.0] if total is None else [max(float(total) - 1e-9, 0.0), float(total) + 1e-5]) / n
        p = methods.compute_hoeffding_bentkus_p_value(tried, n, float(a))[:, 0]
        assert (p > 0.1).tolist() == ([True] if total is None else [False, True])
