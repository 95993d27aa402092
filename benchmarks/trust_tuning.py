"""trust.tuning.*: how much each score lets one trust, on natural/validation: chooses the recipes of trust.useful."""

import time
from fractions import Fraction

import numpy as np

from results import Row, write_results
from trust_records import ORACLE, records, trusted
from veriscale.trust.conformal import Calibration
from veriscale.workflows.restoration import load_prior

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
TARGETS = [("area", "0.02"), ("area", "0.05"), ("sup", "0.1"), ("sup", "0.2")]


def main() -> None:
    begun = time.monotonic()
    prior = load_prior("photo")
    scores = [s for family in FAMILIES.values() for s in family]
    data = records(prior, "validation", scores, [("area", "pointwise"), ("sup", "pointwise")])
    n = len(data.names)
    rows = []
    best: dict[str, dict[str, tuple[float, str]]] = {}
    for family, members in FAMILIES.items():
        for score in members:
            for loss, alpha in TARGETS:
                # With 20 pictures B / (n + 1) is above the levels: the threshold is where the mean loss reaches alpha.
                calibration = Calibration(tuple(data.staircases[score, loss, "pointwise"]), 1.0)
                threshold = calibration.threshold(Fraction(alpha) * n)
                share = 100 * float(trusted(data.quantiles[score], np.full(n, threshold)).mean())
                what = f"trusted share at mean {loss} loss {alpha}, score {score}, validation"
                name = score.replace(":", "_").replace(",", "_").replace("=", "").replace(" ", "_").replace(".", "")
                rows.append(Row(f"trust.tuning.{loss}_{alpha.replace('.', '')}.{name}", what, share, "%"))
                mine = best.setdefault(family, {})
                mine[f"{loss} {alpha}"] = max(mine.get(f"{loss} {alpha}", (-1.0, "")), (share, score))
        print(family, best[family], flush=True)
    notes = (
        "Without the correction for the number of pictures, which 20 do not allow: shares are comparable with one "
        "another, not with trust_useful.json. Best of each family: "
        + "; ".join(f"{f}: " + ", ".join(f"{t} {s} ({v:.1f} %)" for t, (v, s) in b.items()) for f, b in best.items())
    )
    write_results("trust_tuning", rows, notes, time.monotonic() - begun)


if __name__ == "__main__":
    main()
