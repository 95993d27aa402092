"""trust.useful.*: how much of BSD100 masks let one trust, leave-one-out, for recipes chosen on validation."""

import time
from fractions import Fraction

import numpy as np

from results import Row, write_results
from trust_records import ORACLE, records, trusted
from veriscale.metrics.bootstrap import interval
from veriscale.trust.conformal import Calibration
from veriscale.workflows.opening import load_prior

# Of trust_tuning.py, for (area, sup); the first is what `calibrate` takes by default.
RECIPES = {
    "predictor": ("predictor:tau=0.1", "predictor:tau=0.15,context=0.25,smooth=2"),
    "predictor_plain": ("predictor:tau=0.1", "predictor:tau=0.1"),
    "variance": ("variance", "variance"),
    "variance_smoothed": ("variance:smooth=2", "variance:smooth=3"),
    "variance_of_4_smoothed": ("variance:smooth=2 of 4", "variance:smooth=5 of 4"),
    "variance_blurred": ("variance:blur=1,smooth=2", "variance:blur=1,smooth=3"),
    "gradient": ("gradient:std=0.7,smooth=2", "gradient:std=1,smooth=2"),
    "oracle": (ORACLE, ORACLE),
}
BARS = {("area", "0.05"): ">= 80", ("area", "0.02"): ">= 55", ("sup", "0.1"): ">= 25", ("sup", "0.2"): None}


def main() -> None:
    begun = time.monotonic()
    prior = load_prior("photo")
    scores = list(dict.fromkeys(s for pair in RECIPES.values() for s in pair))
    data = records(prior, "bsd100", scores, [("area", "pointwise"), ("sup", "pointwise")])
    rows = []
    for name, (for_area, for_sup) in RECIPES.items():
        for (loss, alpha), bar in BARS.items():
            score = for_area if loss == "area" else for_sup
            calibration = Calibration(tuple(data.staircases[score, loss, "pointwise"]), 1.0)
            thresholds = calibration.leave_one_out([Fraction(alpha)])
            risk = float(calibration.losses_at(thresholds).mean())
            share = 100 * trusted(data.quantiles[score], thresholds[0])
            bounds = interval(share)
            prefix = f"trust.useful.{loss}_{alpha.replace('.', '')}.{name}"
            what = f"BSD100 x4, 320 x 320, dial 0, leave-one-out, {loss} {alpha}, score {score}"
            rows += [
                Row(
                    f"{prefix}.mean",
                    f"{what}: mean trusted share",
                    bounds.estimate,
                    "%",
                    (bounds.low, bounds.high),
                    bar if name == "predictor" else None,
                ),
                Row(f"{prefix}.median", f"{what}: median over pictures", float(np.median(share)), "%"),
                Row(f"{prefix}.empty", f"{what}: share of empty masks", 100 * float((share == 0).mean()), "%"),
                Row(f"{prefix}.risk", f"{what}: mean loss", risk, "", bar=f"<= {alpha}"),
            ]
            print(prefix, *(f"{r.value:.2f}" for r in rows[-4:]), flush=True)
    notes = (
        "Leave-one-out: each picture's threshold comes from the 99 others. Shares are of pixels, from 1,001 quantiles "
        "of each picture's score. The oracle's score is the error itself. sup 0.1 falls short of 25 %: on validation "
        "smoothing and the picture's mean raised it by 2 to 3 points (trust_tuning.json), the draws' variance beside "
        "the predictor, expected counts of bad pixels and an exponential loss by less than one."
    )
    write_results("trust_useful", rows, notes, time.monotonic() - begun)


if __name__ == "__main__":
    main()
