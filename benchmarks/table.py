"""README's table of what is measured, made from docs/results: `make results-table`."""

import json
import re
import sys

from results import RESULTS, ROOT

START, END = "<!-- results -->", "<!-- /results -->"
ROWS = [
    "photo.psnr.set5_x4_dial0",
    "photo.psnr.set14_x4_dial0",
    "photo.psnr.bsd100_x4_dial0",
    "photo.psnr.bsd100_x2_dial0",
    "photo.psnr.bsd100_x3_dial0",
    "photo.psnr.bsd100_x4_noise0.02_dial0",
    "photo.dial.share_interpolate_0.5",
    "photo.dial.share_renoise_0.5",
    "photo.dial.g",
    "photo.dial.spread_skill",
    "photo.perception.sliced_0",
    "photo.perception.sliced_1",
    "photo.perception.energy_0",
    "photo.perception.energy_1",
    "zeroshot.anchor.sr",
    "zeroshot.anchor.sr.over_total_variation",
    "zeroshot.anchor.inpainting",
    "zeroshot.anchor.inpainting.over_total_variation",
    "zeroshot.anchor.inpainting.over_paper_grey",
    "zeroshot.anchor.blur",
    "zeroshot.anchor.blur.over_total_variation",
    "zeroshot.anchor.sr.encoder_gap",
    "zeroshot.time.dps100",
    "zeroshot.time.dps1000",
    "zeroshot.draws.sr.sliced",
    "zeroshot.draws.inpainting.sliced",
    "zeroshot.draws.blur.sliced",
    "zeroshot.dial.sr.interpolate_0.5",
    "zeroshot.dial.inpainting.interpolate_0.5",
    "zeroshot.dial.blur.interpolate_0.5",
    "zeroshot.nonlinear.hdr.paper",
    "zeroshot.alarm.blur",
    "zeroshot.alarm.blur.false",
    "trust.useful.area_005.predictor.mean",
    "trust.useful.area_005.variance_smoothed.mean",
    "trust.useful.area_005.oracle.mean",
    "trust.useful.area_002.predictor.mean",
    "trust.useful.sup_01.predictor.mean",
    "trust.useful.sup_02.predictor.mean",
    "trust.shipped.photo_dial_0_area.005.risk",
    "trust.shipped.photo_dial_0_area.005.trusted",
    "trust.real.area.pointwise.above",
    "trust.real.sup.pointwise.above",
    "trust.blackbox.pillow_bicubic.gradient.area_002.risk",
    "trust.blackbox.pillow_bicubic.gradient.area_002.trusted",
    "trust.blackbox.sharpening_chain.perturbed.area_002.risk",
    "trust.blackbox.sharpening_chain.perturbed.area_002.trusted",
    "trust.loo.brute_force",
    "trust.violation.continuous",
    "trust.drift.screenshots",
    "trust.speed.sup",
    "trust.speed.area",
    "oracle.anchor.box_0.05",
    "oracle.anchor.mask_0.05",
    "physics.law.adjoint",
    "net.speed.inference_plain",
    "net.speed.training_plain",
    "restore.scaling.seconds_per_mp_4mp",
    "restore.determinism.tiles_float32",
    "cli.help",
]


def table() -> str:
    """Markdown, a row per id in `ROWS`, in that order."""
    measured = {}
    for path in sorted(RESULTS.glob("*.json")):
        for row in json.loads(path.read_text(encoding="utf-8"))["rows"]:
            measured[row["id"]] = row
    lines = ["| measured | value | 95 % interval | bar | beside it |", "| --- | --- | --- | --- | --- |"]
    for key in ROWS:
        if key not in measured:
            continue
        r = measured[key]
        interval = "–".join(f"{v:.4g}" for v in r["interval"]) if "interval" in r else ""
        bar = f"{r['bar']}{'' if r['holds'] else ' (falls short)'}" if "bar" in r else ""
        against = ", ".join(f"{k} {v:.4g}" for k, v in r.get("against", {}).items())
        lines.append(
            f"| {r['what']} | {r['value']:.4g} {r['unit']} | {interval} | {bar} | {against} |".replace("  |", " |")
        )
    return "\n".join(lines)


def with_table(text: str) -> str:
    """README's text with the table between its marks renewed."""
    return re.sub(f"{START}.*{END}", f"{START}\n{table()}\n{END}", text, flags=re.DOTALL)


if __name__ == "__main__":
    readme = ROOT / "README.md"
    old = readme.read_text(encoding="utf-8")
    if "--check" in sys.argv:
        sys.exit(old != with_table(old))
    readme.write_text(with_table(old), encoding="utf-8")
