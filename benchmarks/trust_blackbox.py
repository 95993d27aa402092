"""trust.blackbox.*: masks for other people's upscalers, run as commands on BSD100, leave-one-out."""

import sys
import time
from fractions import Fraction
from typing import Any

import numpy as np

from cache import measured
from pictures import files
from results import ROOT, Row, write_results
from trust_records import SCALE, measuring, staircase_record, trusted, unpacked
from veriscale.metrics.bootstrap import interval
from veriscale.physics.downsample import Downsample
from veriscale.trust.conformal import Calibration
from veriscale.trust.score_name import parse_score
from veriscale.workflows.command_template import parse_command
from veriscale.workflows.restorers import ToolRestorer

SCORES = {"gradient": "gradient:std=0.7,smooth=2", "perturbed": "perturbed:smooth=2"}
# Perturbed takes eight runs a picture: for the one tool that is not nearly linear.
TOOLS = {
    "pillow-bicubic": ["gradient"],
    "pillow-lanczos": ["gradient"],
    "skimage-resize": ["gradient"],
    "sharpening-chain": ["gradient", "perturbed"],
}
TARGETS = [("area", "0.02"), ("area", "0.05"), ("sup", "0.1"), ("sup", "0.2")]


def main() -> None:
    begun = time.monotonic()
    paths = {p.name: p for p in files("bsd100")}
    rows = []
    for tool, names in TOOLS.items():
        for name, text in ((n, SCORES[n]) for n in names):
            command = f"'{sys.executable}' '{ROOT / 'benchmarks' / 'tools' / 'enlarge.py'}' {tool} {{in}} {{out}}"
            restorer = ToolRestorer(parse_command(command), Downsample(SCALE), "gaussian:0", parse_score(text))

            def measure(picture: str, restorer: ToolRestorer = restorer) -> dict[str, Any]:
                unit = measuring()(paths[picture])
                delivered = restorer(unit.measurement, picture, lambda what, done, of: None)
                return staircase_record(
                    delivered.score, delivered.picture, unit.truth, [("area", "pointwise"), ("sup", "pointwise")]
                )

            runs = 8 if name == "perturbed" else 1
            settings = {"tool": tool, "score": text, "sha256": restorer.template.tool_sha256}
            values = measured("trust_blackbox", settings, paths, measure, 0.4 * runs)
            for loss, alpha in TARGETS:
                calibration = Calibration(tuple(unpacked(v["steps"][f"{loss} pointwise"]) for v in values), 1.0)
                thresholds = calibration.leave_one_out([Fraction(alpha)])
                losses = interval(calibration.losses_at(thresholds)[0])
                share = interval(100 * trusted(np.array([v["quantiles"] for v in values], np.float32), thresholds[0]))
                prefix = f"trust.blackbox.{tool.replace('-', '_')}.{name}.{loss}_{alpha.replace('.', '')}"
                what = f"{tool} by --command, BSD100 x4, 320 x 320, score {text}, {loss} {alpha}, leave-one-out"
                rows += [
                    Row(
                        f"{prefix}.risk",
                        f"{what}: mean loss",
                        losses.estimate,
                        "",
                        (losses.low, losses.high),
                        f"<= {alpha}",
                    ),
                    Row(f"{prefix}.trusted", f"{what}: trusted share", share.estimate, "%", (share.low, share.high)),
                ]
                print(prefix, *(f"{r.value:.4f}" for r in rows[-2:]), flush=True)
    notes = "The settings of the two scores were chosen on natural/validation (trust_tuning.json, gradient) or by hand."
    write_results("trust_blackbox", rows, notes, time.monotonic() - begun)


if __name__ == "__main__":
    main()
