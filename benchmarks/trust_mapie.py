"""trust.mapie.*: MAPIE's threshold for the recall of bad pixels against ours, on one grid."""

import sys
import time
import warnings
from fractions import Fraction

import mapie
import numpy as np
from mapie.risk_control.methods import compute_hoeffding_bentkus_p_value

from results import ROOT, Row, write_results

sys.path.append(str(ROOT))
from tests.trust.test_mapie import GRID, ours, scores_of_bad_pixels, theirs

from veriscale.trust.modes import Guarantee

SIZES, SEEDS, DELTA = (20, 57, 99), 10, 0.1
ALPHAS = [Fraction(k, 100) for k in range(2, 72, 5)]
BOUNDS = ("hoeffding", "bernstein", "wsr")
NOTES = (
    f"MAPIE {mapie.__version__}, MultiLabelClassificationController with risk 'recall': it flags the pixels whose "
    "score is above λ and asks for a recall of 1 − α; ours trusts the pixels below t and allows a share α of the bad "
    f"ones to be trusted (loss `recall`). {len(SIZES)} sizes of the calibration {SIZES}, {SEEDS} seeds, {len(ALPHAS)} "
    f"levels from {float(ALPHAS[0]):g} to {float(ALPHAS[-1]):g}; 30 pixels a picture, scores on 101 levels, "
    f"{GRID.size} values of λ on none of them, because MAPIE trusts score ≤ λ and ours score < t. Our λ is the largest "
    "of the grid that t reaches. What MAPIE does otherwise: it wants the bound strictly below α and compares in floats "
    "(α = 1 − 0.9 is 0.09999999999999998), so levels met exactly are lost; where nothing is feasible it warns and "
    "returns the smallest λ of the grid, which trusts what is below it; it refuses pictures without a bad pixel, whose "
    "loss is 0 here; its λ is a value of the grid and not the supremum. rcps: its upper confidence bounds beside our "
    f"Hoeffding–Bentkus in mode `pac`, δ = {DELTA:g}; they are other bounds, so the thresholds need not be equal. "
    "p_value: its Hoeffding–Bentkus p-value 1e-9 below our allowed total and 1e-5 above it; at a whole total itself "
    "its ceiling of n·(total/n) can be one too high, as for 13 of 99."
)


def main() -> None:
    print("about a minute", flush=True)
    begun = time.monotonic()
    compared = differ = edges = infeasible = 0
    higher = dict.fromkeys(BOUNDS, 0)
    lower = dict.fromkeys(BOUNDS, 0)
    for n in SIZES:
        mean = [Guarantee("mean", n, 1.0, binary=False).allowance(a) for a in ALPHAS]
        pac = [Guarantee("pac", n, 1.0, binary=False, delta=DELTA).allowance(a) for a in ALPHAS]
        for seed in range(SEEDS):
            score, bad = scores_of_bad_pixels(n, seed)
            answer, mine = theirs(score, bad, ALPHAS), ours(score, bad, mean)
            sums = [total(score, bad, at) for at in answer]
            for k, allowed in enumerate(mean):
                if allowed is None:
                    infeasible += 1
                elif total(score, bad, mine[k]) == allowed:
                    edges += 1  # the bound equals α
                else:
                    compared += 1
                    differ += mine[k] != answer[k]
                    assert sums[k] <= allowed
            for bound in BOUNDS:
                judged = theirs(score, bad, ALPHAS, "rcps", confidence_level=1 - DELTA, rcps_bound=bound)
                mine = ours(score, bad, pac)
                higher[bound] += int((mine > judged).sum())
                lower[bound] += int((mine < judged).sum())
    what = f"λ that differ from MAPIE's crc, of {compared} feasible ones"
    against = {"left out: the bound is exactly α": edges, "left out: infeasible": infeasible}
    rows = [Row("trust.mapie", what, differ, bar="<= 0", against=against)]
    settings = len(SIZES) * SEEDS * len(ALPHAS)
    for bound in BOUNDS:
        what = f"rcps with {bound}: share of {settings} settings in which our pac threshold is lower than MAPIE's"
        against = {"higher": higher[bound] / settings}
        bar = "<= 0" if bound == "hoeffding" else None  # that one Hoeffding–Bentkus implies
        rows.append(Row(f"trust.mapie.rcps.{bound}", what, lower[bound] / settings, bar=bar, against=against))
    rows.append(p_value_row())
    for row in rows:
        print(f"{row.id:28} {row.value:8.4f} {row.bar or '':6} {row.holds} {row.against}")
    print(write_results("trust_mapie", rows, NOTES, time.monotonic() - begun))


def total(score: np.ndarray, bad: np.ndarray, at: float) -> Fraction:
    """The sum of the shares of bad pixels trusted at λ."""
    pairs = zip(score, bad, strict=True)
    return sum(Fraction(int((b & (s <= at)).sum()), int(b.sum())) for s, b in pairs)


def p_value_row() -> Row:
    wrong = tried = 0
    for n in (20, 57, 99, 300, 1000):
        for a in (Fraction(k, 997) for k in range(10, 990, 10)):
            allowed = Guarantee("pac", n, 1.0, binary=False, delta=DELTA).allowance(a)
            totals = [0.0] if allowed is None else [max(float(allowed) - 1e-9, 0.0), float(allowed) + 1e-5]
            p = compute_hoeffding_bentkus_p_value(np.array(totals) / n, n, float(a))[:, 0]
            wrong += (p > DELTA).tolist() != ([True] if allowed is None else [False, True])
            tried += 1
    what = f"allowed totals that are not the largest with a p-value of at most δ, of {tried}"
    return Row("trust.mapie.p_value", what, wrong, bar="<= 0")


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # infeasible levels
        main()
