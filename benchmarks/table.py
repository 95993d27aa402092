"""The tables of what is measured, made from docs/results/*.json: `make results-table`.

README has headlines, and every number that falls short, but for the code's own shape; docs/results.md has everything.
"""

import json
import re
import sys
from collections.abc import Sequence
from typing import Any

from results import RESULTS, ROOT

LAST = r"[._](0\.)?[^._]*$"  # of an id, behind which is what its family has in common
START, END = "<!-- results -->", "<!-- /results -->"
HEADLINES = [
    "photo.psnr.set5_x4_dial0",
    "photo.psnr.bsd100_x4_dial0",
    "photo.dial.g",
    "zeroshot.anchor.inpainting",
    "trust.useful.area_005.predictor.mean",
    "mri.inplane.x4.gain",
    "mri.through.FLAIR.over_cubic",
    "scan.world.blob.through_4_to_1",
]
PARTS = {
    "photo": "Photographs the encoder knows",
    "zeroshot": "Any other measurement",
    "trust": "What can be trusted",
    "door": "A denoiser or an operator of one's own",
    "latent": "Models over latents",
    "mri": "Scans, by the prior for them",
    "scan": "Scans, by the prior for photographs, and their files",
    "stages": "Stages of training",
    "fewshot": "A prior from few patients",
    "cardiac": "Hearts, by a prior from ten patients",
    "guides": "Other contrasts as guides",
    "input": "Picture files, in and out",
    "house": "The code itself, before and after its restructuring",
    "": "Laws, oracles and time",
}
TASKS = "sr", "inpainting", "blur"
NETWORKS = "encoder", "denoiser", "predictor"
_THROUGH = "", ".lowest", ".wrong", ".draw", ".draw.wrong"
ROWS = [
    "photo.psnr.set5_x4_dial0",
    "photo.psnr.set14_x4_dial0",
    "photo.psnr.bsd100_x4_dial0",
    "photo.psnr.bsd100_x2_dial0",
    "photo.psnr.bsd100_x3_dial0",
    "photo.psnr.bsd100_x4_noise0.02_dial0",
    *(f"photo.denoise.sigma{sigma}" for sigma in (15, 25, 50)),
    "photo.dial.share_interpolate_0.5",
    "photo.dial.share_renoise_0.5",
    "photo.dial.g",
    "photo.dial.spread_skill",
    *(f"photo.dial.{kind}_1" for kind in ("flat", "textured")),
    *(f"photo.flat.x{s}_{kind}_{end}" for s in (4, 2) for kind in ("flat", "textured") for end in ("dial1", "between")),
    *(f"photo.psnr.{name}_x4_ensemble" for name in ("set5", "set14", "bsd100")),
    *(f"photo.race.encoder_{name}_batch16_{end}" for name in ("muon", "adam") for end in ("x4", "loss")),
    *(
        f"photo.race.denoiser_{name}_batch16_{end}"
        for name in ("muon", "adam")
        for end in ("unconditional_loss", "sigma25")
    ),
    "photo.perception.sliced_0",
    "photo.perception.sliced_1",
    "photo.perception.energy_0",
    "photo.perception.energy_1",
    "zeroshot.anchor.sr",
    "zeroshot.anchor.sr.over_total_variation",
    "zeroshot.anchor.sr.over_mean_of_8_dps",
    "zeroshot.anchor.inpainting",
    "zeroshot.anchor.inpainting.over_total_variation",
    "zeroshot.anchor.inpainting.over_mean_of_8_dps",
    "zeroshot.fair.sr.over_paper",
    "zeroshot.fair.inpainting.over_paper",
    "zeroshot.fair.blur.over_paper",
    "zeroshot.anchor.blur",
    "zeroshot.anchor.blur.over_total_variation",
    "zeroshot.anchor.blur.over_mean_of_8_dps",
    "zeroshot.anchor.sr.encoder_gap",
    "zeroshot.time.dps100",
    "zeroshot.time.dps1000",
    "zeroshot.time.whole_dps",
    "zeroshot.time.whole_diffpir",
    "zeroshot.draws.sr.sliced",
    "zeroshot.draws.inpainting.sliced",
    "zeroshot.draws.blur.sliced",
    *(
        f"zeroshot.draws.{task}.against_{peer}_{goal}"
        for task in TASKS
        for peer in ("dps", "diffpir")
        for goal in ("psnr", "sliced")
    ),
    *(
        f"zeroshot.dial.{task}.{path}_{f}"
        for task in TASKS
        for path in ("interpolate", "renoise")
        for f in (0.01, 0.25, 0.5, 0.75)
    ),
    *(f"zeroshot.path.{task}.{key}_{f}" for task in TASKS for key in ("sliced", "energy") for f in (0.25, 0.5, 0.75)),
    *(
        f"zeroshot.noise.{task}.{end}"
        for task in (*TASKS, "sensing", "fourier")
        for end in (
            *(f"{s:g}" for s in (0, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)),
            "rise",
            "usual",
            "flips_0",
            "flips_0.05",
        )
    ),
    *(
        f"zeroshot.spread.{task}.{end}"
        for task in (*TASKS, "sensing")
        for end in ("oracle", "g", "skill", "g.noiseless", "skill.noiseless", "sliced", "energy")
    ),
    "zeroshot.input.jpeg.quality=10.0.gain",
    "zeroshot.input.jpeg.quality=40.0.gain",
    "zeroshot.input.jpeg.quality=80.0.sharper",
    "zeroshot.input.inpaint.box=32.0.gain",
    "zeroshot.input.hdr.gain=2.0.gain",
    "zeroshot.input.hdr.gain=2.0.05.gain",
    "zeroshot.input.nonlinear-blur.seed=0.0.gain",
    "zeroshot.input.nonlinear-blur.seed=0.0.05.gain",
    "zeroshot.input.blur.kernel=gaussian.std=2+jpeg.quality=80.0.gain",
    "zeroshot.input.downsample.factor=4+jpeg.quality=60.0.gain",
    "zeroshot.input.hdr.gain=2+jpeg.quality=60.0.gain",
    "zeroshot.input.hdr.gain=2.0.sharper",
    "zeroshot.input.hdr.gain=2.0.05.sharper",
    "zeroshot.input.nonlinear-blur.seed=0.0.sharper",
    "zeroshot.input.nonlinear-blur.seed=0.0.05.sharper",
    "zeroshot.input.hdr.gain=2+jpeg.quality=60.0.sharper",
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
    "door.denoiser.epsilon_schedule.anchor",
    "door.denoiser.epsilon_schedule.draw",
    "door.denoiser.gaussian.mask",
    "door.denoiser.card",
    *(
        f"door.foreign.blind_unet_gray.{t}.{s}{k}"
        for t in ("sr", "inpainting", "blur")
        for s in ("0.02", "0")
        for k in ("", ".authors")
    ),
    "door.foreign.evaluations.tuned",
    "door.foreign.evaluations.published",
    "door.foreign.dial.0.5",
    "door.foreign.certificate",
    "door.operator.functions.restoration",
    "door.operator.functions.time",
    *(f"scan.through.{c}.over_{other}" for c in ("FLAIR", "T2") for other in ("cubic", "tikhonov")),
    *(f"scan.flicker.{c}.{what}" for c in ("FLAIR", "T2") for what in ("dial_0", "dial_1", "energy")),
    *(f"scan.world.roundtrip.{kind}" for kind in ("synthetic", "nifti_odd", "dicom")),
    *(f"scan.world.blob.in_plane_{how}" for how in ("x2", "x3", "x4", "2_to_1.3")),
    *(f"scan.world.blob.through_{how}" for how in ("4_to_1", "3_to_1", "5_to_1.3")),
    "scan.world.blob.anisotropic",
    "scan.world.blob.dicom",
    *(f"scan.dicom.geometry.{series}" for series in ("t1_oblique", "epi_brain", "cardiac_sax_oblique")),
    "scan.dicom.volume",
    "scan.dicom.seg",
    "scan.dicom.parametric_map",
    "scan.dicom.private",
    *(
        f"scan.head.{case}.{what}"
        for case in ("in_plane", "in_plane.whole", "through")
        for what in ("memory", "seconds", "resumed")
    ),
    "scan.report.size",
    "scan.report.size.dials3",
    "scan.report.first_paint",
    *(f"{by}.inplane.x{scale}.gain{end}" for by in ("scan", "mri") for scale in (2, 4) for end in ("", "_all")),
    *(
        f"mri.inplane.x{scale}.over_photo{end}"
        for scale in (2, 4)
        for end in ("", *(f".{subject}{end}" for subject in ("ms19", "gli00001") for end in ("", ".lowest")))
    ),
    *(
        f"{by}.inplane.{subject}.{contrast}.x{scale}{end}"
        for by in ("scan", "mri")
        for scale in (2, 4)
        for subject in ("ms19", "gli00001")
        for contrast in ("T1", "T1C", "T2", "FLAIR")
        for end in ("", ".ssim")
    ),
    *(f"mri.through.{c}.over_{other}" for c in ("FLAIR", "T2") for other in ("cubic", "tikhonov", "photo")),
    *(f"mri.flicker.{c}.{what}" for c in ("FLAIR", "T2") for what in ("dial_0", "dial_1", "energy")),
    *(f"mri.draws.share_{path}_{f}" for path in ("interpolate", "renoise") for f in (0.25, 0.5, 0.75)),
    *(
        f"mri.draws.{start}{what}"
        for start in ("", "ms19.", "gli00001.")
        for what in ("g", "spread_skill", "coverage_80", "crps")
    ),
    *(
        f"mri.stages.{what}.{number}"
        for what in (
            *("folded", "source", "domain", "source.worth", "domain.worth"),
            *("sigma_data.again", "sigma_data.kept", "sigma_data.cost"),
        )
        for number in ("psnr", "crps", "loss", "loss_free")
    ),
    *(f"stages.lora.merged.{network}" for network in NETWORKS),
    *(
        f"stages.lora.{what}.{trainable}.{network}"
        for network in NETWORKS
        for trainable in ("all", "decoder", "norm_bias", "lora_8")
        for what in ("parameters", "time")
    ),
    *(f"stages.resume.{what}" for what in ("tensors", "card")),
    *(f"stages.processes.{trainable}" for trainable in ("all", "decoder", "norm_bias", "lora")),
    "stages.scratch.cards",
    *(
        f"fewshot.msp_dft.{on}.{end}"
        for on in (
            *(f"acdc.k{count}" for count in (5, 10, "10_total", "10_total_rate", "10_total_lora_8", 20, 0)),
            *(f"sunnybrook.k{count}" for count in (5, 10, "10_total", 20)),
            "hippocampus.k10",
        )
        for end in ("psnr", "crps", "wins")
    ),
    *(
        f"fewshot.{family}.{on}.shipped_k10.{number}"
        for on in ("acdc", "sunnybrook")
        for family, number in (
            *(("msp_dft", number) for number in ("psnr", "crps")),
            *(("uncertainty", number) for number in ("spread", "coverage")),
        )
    ),
    *(  # of its CRPS the rows are above
        f"fewshot.uncertainty.{on}.{number}"
        for on in (
            *(f"{on}.k{count}" for on in ("acdc", "sunnybrook") for count in (5, 10, "10_total", 20)),
            "acdc.k10_total_rate",
            "acdc.k10_total_lora_8",
            "acdc.k0",
            "hippocampus.k10",
        )
        for number in ("spread", "coverage")
    ),
    *(
        f"fewshot.zero.{on}.{number}"
        for on in (
            *(f"{on}.{arm}_k10" for on in ("acdc", "sunnybrook", "hippocampus") for arm in ("msp", "dft")),
            "acdc.long_k10",
        )
        for number in ("psnr", "crps")
    ),
    *(
        f"fewshot.baselines.{on}.{name}.psnr_dial0"
        for on in ("acdc", "hippocampus")
        for name in ("bicubic", "cubic_spline", "lanczos", "photo")
    ),
    *(
        f"fewshot.baselines.acdc.scratch_k{count}.{number}"
        for count in (5, 10, 20)
        for number in ("psnr_dial0", "crps")
    ),
    *(
        f"fewshot.trainable.{mode}.{number}"
        for mode in ("decoder", "norm_bias", "lora_8")
        for number in ("psnr", "crps")
    ),
    "fewshot.trainable.default",
    "fewshot.trainable.spread",
    *(f"fewshot.rates.{arm}_all" for arm in ("msp", "dft", "long", "rate", "scratch")),
    *(f"fewshot.rates.msp_{mode}" for mode in ("decoder", "norm_bias", "lora_8")),
    "fewshot.rates.long_lora_8",
    *(
        f"cardiac.psnr.{end}"
        for end in (
            *("over_bicubic", "over_bicubic.lowest", "over_mri", "over_mri.lowest", "over_photo"),
            *(f"sunnybrook.over_{other}" for other in ("bicubic", "mri", "photo")),
        )
    ),
    *(
        f"cardiac.spread.{on}{what}"
        for on in ("", "sunnybrook.")
        for what in ("raw", "coverage_80", "tempered", "coverage_80_tempered")
    ),
    *(f"cardiac.ventricle.{what}" for what in ("error", "bias", "less_bicubic", "less_mri", "less_photo")),
    *(f"cardiac.ventricle.covered_{level}" for level in (50, 80, 90)),
    *(f"cardiac.certificate.{on}.{what}" for on in ("loo", "test") for what in ("loss", "trusted")),
    "cardiac.certificate.patients",
    *(f"stages.cost.{what}" for what in ("minutes", "memory")),
    *(
        f"guides.{row}"
        for subject in ("ms19", "gli00001")
        for row in (
            *(
                f"clean.{subject}{over}"
                for over in ("", ".lowest", ".over_regression", ".over_regression.lowest", ".over_adapted")
            ),
            *(f"static.{subject}{end}" for end in ("", ".lowest", ".inside", ".unseen", ".unseen.inside", ".clean")),
            *(f"wrong.{subject}{end}" for end in ("", ".all")),
            *(f"subsets.{subject}{end}" for end in ("", ".none")),
            *(f"localise.{subject}.{what}{end}" for what in ("outside", "sound", "auc") for end in ("", ".denoiser")),
            *(f"draws.{subject}.{what}" for what in ("crps", "spread_skill", "inform", "one_spoilt", "spoilt")),
            *(f"semantic.{subject}.{what}" for what in ("semantic", "dice")),
            *(
                f"bound.{subject}.{how}.{what}"
                for how in ("sound", "spoilt")
                for what in (
                    "below_static",
                    *(f"{k}.{term}" for k in range(4) for term in ("fused", "means", "covariance", "ambiguity", "gap")),
                )
            ),
            *(f"bound.{subject}.{control}" for control in ("shuffled", "identity")),
            *(f"shift.{subject}.{what}" for what in ("found", "suspected")),
            *(f"shipped.{subject}{end}" for end in ("", ".lowest")),
        )
    ),
    *(f"guides.through.ms19.{contrast}{end}" for contrast in ("T2", "FLAIR") for end in _THROUGH),
    *(f"guides.generalise.{fusion}" for fusion in ("dynamic", "mean", "concat", "learned")),
    *(f"guides.generalise.dynamic_less_{fusion}" for fusion in ("mean", "concat", "learned")),
    "guides.tau.default",
    "guides.tau.default.low",
    *(
        f"guides.tau.{subject}.{tau}.{what}"
        for subject in ("tcgadu7294", "ms19", "gli00001")
        for tau in ("falling", "reversed", "learned", "modality")
        for what in ("loss_1", "loss_2", "loss_3", "crps")
    ),
    *(
        f"guides.{kind}speed.{network}"
        for kind in ("", "shipped.")
        for network in ("encoder", "denoiser", "denoiser_anew")
    ),
    *(f"guides.shipped.through.ms19.T2{end}" for end in _THROUGH),
    *(f"guides.shipped.{subject}.x2" for subject in ("ms19", "gli00001")),
    "input.kinds.files",
    "input.kinds.restored",
    "input.kinds.refused",
    "input.kinds.tracebacks",
    "input.kinds.wrong",
    "input.kinds.survives.png",
    "input.kinds.survives.jpg",
    "input.kinds.survives.tif",
    "input.kinds.survives.webp",
    "input.kinds.survives.npy",
    "input.kinds.survives.bmp",
    "input.kinds.survives.gif",
    "input.kinds.survives.avif",
    "input.kinds.survives.jp2",
    "input.kinds.survives.png_as_jpeg",
    "input.kinds.survives.png_as_tiff",
    "input.kinds.survives.png_as_webp",
    "input.kinds.survives.png_as_npy",
    "house.bytes.differences",
    "house.bytes.commands",
    "house.path.files",
    "house.path.moves",
    "house.path.circles",
    "house.path.lines",
    "house.path.cli_lines",
    "house.settings.places",
    "house.settings.option",
    "oracle.anchor.box_0.05",
    "oracle.anchor.mask_0.05",
    "physics.law.adjoint",
    "net.speed.inference_plain",
    "net.speed.training_plain",
    "restore.scaling.seconds_per_mp_4mp",
    "restore.determinism.tiles_float32",
    "cli.help",
]


def measured() -> dict[str, dict[str, Any]]:
    """Every row of docs/results by its id."""
    files = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(RESULTS.glob("*.json"))]
    return {row["id"]: row for file in files for row in file["rows"]}


def table(keys: Sequence[str]) -> str:
    """Markdown, a row per id, in their order; what is not measured is not there."""
    found = measured()
    lines = ["| measured | value | 95 % interval | bar | beside it |", "| --- | --- | --- | --- | --- |"]
    for r in (found[key] for key in keys if key in found):
        interval = "–".join(f"{v:.4g}" for v in r["interval"]) if "interval" in r else ""
        bar = f"{r['bar']}{'' if r['holds'] else ' (falls short)'}" if "bar" in r else ""
        against = ", ".join(f"{k} {v:.4g}" for k, v in r.get("against", {}).items())
        cells = (
            each.replace("|", "\\|").strip()
            for each in (r["what"], f"{r['value']:.4g} {r['unit']}", interval, bar, against)
        )
        lines.append("| " + " | ".join(cells).replace("|  |", "| |") + " |")
    return "\n".join(lines)


def short() -> str:
    """The headlines, and what falls short of what users get: a line for rows of one family with one bar."""
    found = measured()
    missed: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for key in ROWS:
        row = found.get(key, {})
        if not row.get("holds", True) and not key.startswith("house."):
            missed.setdefault((re.sub(LAST, "", key), row["bar"]), []).append(row)
    lines = []
    for (_, bar), (first, *others) in missed.items():
        line = f"- {first['what']}: {first['value']:.4g} {first['unit']}".rstrip() + f"; wanted {bar}"
        like = ", ".join(f"{row['value']:.4g}" for row in others)
        lines.append(f"{line} (and like it {like})" if like else line)
    return table([key for key in ROWS if key in HEADLINES]) + "\n\nWhat falls short:\n\n" + "\n".join(lines)


def whole() -> str:
    """All rows, in parts; a part of which nothing is measured is not there."""
    there = measured()
    found = [key for key in ROWS if key in there]
    parts = {key: next(title for start, title in PARTS.items() if key.startswith(start)) for key in found}
    titles = dict.fromkeys(parts.values())
    return "\n\n".join(f"## {title}\n\n{table([k for k in found if parts[k] == title])}" for title in titles)


PAGES = {ROOT / "README.md": short, ROOT / "docs" / "results.md": whole}


def renewed(text: str, rows: str) -> str:
    """A page with the table between its marks renewed."""
    return re.sub(f"{START}.*{END}", lambda _: f"{START}\n{rows}\n{END}", text, flags=re.DOTALL)


if __name__ == "__main__":
    pages = {path: path.read_text(encoding="utf-8") for path in PAGES}
    new = {path: renewed(text, PAGES[path]()) for path, text in pages.items()}
    if "--check" in sys.argv:
        sys.exit(pages != new)
    for path, text in new.items():
        path.write_text(text, encoding="utf-8")
