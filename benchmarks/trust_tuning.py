"""trust.tuning.*: how much each score lets one trust, on natural/validation: chooses the recipes of trust.useful."""

import re
import time
from fractions import Fraction

import numpy as np

from results import Row, write_results
from trust_records import ORACLE, Records, records, tool_records, trusted
from veriscale.trust.conformal import Calibration
from veriscale.workflows.opening import load_prior

FAMILIES = {
    "oracle": [ORACLE],
    "variance": ["variance", *(f"variance:smooth={s}" for s in (1, 2, 3, 5))],
    "variance_of_4": ["variance of 4", *(f"variance:smooth={s} of 4" for s in (2, 3, 5))],
    "blurred": [f"variance:blur={b},smooth={s}" for b in (1, 2) for s in (1, 2, 3)],
    "gradient": [f"gradient:std={g},smooth={s}" for g in (0.7, 1, 2) for s in (2, 4)],
    "predictor": [
        f"predictor:tau={t},context={c},smooth={s}"
        for t in (0.05, 0.1, 0.15, 0.2)
        for c in (0, 0.25)
        for s in (0, 1, 2)
    ],
}
TOOL = "sharpening-chain"
TOOL_SCORES = ["gradient:std=0.7,smooth=2", "gradient:std=1,smooth=2", *(f"perturbed:smooth={s}" for s in (2, 5))]
KINDS = [("area", "pointwise"), ("sup", "pointwise")]
TARGETS = [("area", "0.02"), ("area", "0.05"), ("sup", "0.1"), ("sup", "0.2")]


def measured_rows(data: Records, score: str, prefix: str, who: str) -> list[Row]:
    """The trusted share of one score at every target."""
    n, rows = len(data.names), []
    for loss, alpha in TARGETS:
        # With 20 pictures B / (n + 1) is above the levels: the threshold is where the mean loss reaches alpha.
        calibration = Calibration(tuple(data.staircases[score, loss, "pointwise"]), 1.0)
        threshold = calibration.threshold(Fraction(alpha) * n)
        share = 100 * float(trusted(data.quantiles[score], np.full(n, threshold)).mean())
        name = re.sub(r"[:, ]", "_", score).replace("=", "").replace(".", "")
        what = f"{who}, validation, score {score}: trusted share at mean {loss} loss {alpha}"
        rows.append(Row(f"{prefix}.{loss}_{alpha.replace('.', '')}.{name}", what, share, "%"))
    return rows


def main() -> None:
    begun = time.monotonic()
    scores = [s for family in FAMILIES.values() for s in family]
    data = records(load_prior("photo"), "validation", scores, KINDS)
    rows, best = [], []
    for family, members in FAMILIES.items():
        shares = {s: measured_rows(data, s, "trust.tuning", "photo x4, dial 0") for s in members}
        rows += [row for mine in shares.values() for row in mine]
        for k, (loss, alpha) in enumerate(TARGETS):
            score = max(members, key=lambda s: shares[s][k].value)
            best.append(f"{family}, {loss} {alpha}: {score} ({shares[score][k].value:.1f} %)")
            print(best[-1], flush=True)
    for score in TOOL_SCORES:
        rows += measured_rows(tool_records(TOOL, "validation", score, KINDS), score, "trust.tuning.tool", TOOL)
        print(score, *(f"{r.value:.1f}" for r in rows[-4:]), flush=True)
    notes = (
        "Without the correction for the number of pictures, which 20 do not allow: shares are comparable with one "
        "another, not with trust_useful.json. Best of each family: " + "; ".join(best)
    )
    write_results("trust_tuning", rows, notes, time.monotonic() - begun)


if __name__ == "__main__":
    main()
