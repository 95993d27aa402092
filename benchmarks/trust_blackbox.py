"""trust.blackbox.*: masks for other people's upscalers, run as commands on BSD100, leave-one-out."""

import time
from fractions import Fraction

from results import Row, write_results
from trust_records import tool_records, trusted
from veriscale.metrics.bootstrap import interval
from veriscale.trust.conformal import Calibration

SCORES = {"gradient": "gradient:std=0.7,smooth=2", "perturbed": "perturbed:smooth=2"}
# Perturbed takes eight runs a picture: for the one tool that is not nearly linear.
TOOLS = {
    "pillow-bicubic": ["gradient"],
    "pillow-lanczos": ["gradient"],
    "skimage-resize": ["gradient"],
    "sharpening-chain": ["gradient", "perturbed"],
}
KINDS = [("area", "pointwise"), ("sup", "pointwise")]
TARGETS = [("area", "0.02"), ("area", "0.05"), ("sup", "0.1"), ("sup", "0.2")]


def main() -> None:
    begun = time.monotonic()
    rows = []
    for tool, name in ((tool, name) for tool, names in TOOLS.items() for name in names):
        score = SCORES[name]
        data = tool_records(tool, "bsd100", score, KINDS)
        for loss, alpha in TARGETS:
            calibration = Calibration(tuple(data.staircases[score, loss, "pointwise"]), 1.0)
            thresholds = calibration.leave_one_out([Fraction(alpha)])
            losses = interval(calibration.losses_at(thresholds)[0])
            share = interval(100 * trusted(data.quantiles[score], thresholds[0]))
            prefix = f"trust.blackbox.{tool.replace('-', '_')}.{name}.{loss}_{alpha.replace('.', '')}"
            what = f"{tool} by --command, BSD100 x4, 320 x 320, score {score}, {loss} {alpha}, leave-one-out"
            spread = (losses.low, losses.high)
            rows += [
                Row(f"{prefix}.risk", f"{what}: mean loss", losses.estimate, "", spread, f"<= {alpha}"),
                Row(f"{prefix}.trusted", f"{what}: trusted share", share.estimate, "%", (share.low, share.high)),
            ]
            print(prefix, *(f"{r.value:.4f}" for r in rows[-2:]), flush=True)
    notes = (
        "The scores' settings were chosen on natural/validation: trust_tuning.json, for the gradient with the prior."
    )
    write_results("trust_blackbox", rows, notes, time.monotonic() - begun)


if __name__ == "__main__":
    main()
