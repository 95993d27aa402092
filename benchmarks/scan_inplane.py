"""scan.inplane.*, mri.inplane.*: axial slices ×2 and ×4 by `photo` and `mri` at dial 0, beside three enlargements.

`--slices N` takes the N slices in the middle, prints, and writes no results. `--tune` tries headrooms of the levels
on training subjects, prints too, and writes none either.
"""

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import zoom

from cache import measured
from results import Row, write_results
from scans import CONTRASTS, SUBJECTS, brain, scan
from slice_blocks import Columns, block_sums, gain
from veriscale.diffusion.prior import Prior
from veriscale.imaging import normalisation
from veriscale.imaging.resize import resize
from veriscale.imaging.volume import Volume
from veriscale.metrics.scan_distortion import data_range, scan_psnr, scan_ssim
from veriscale.physics.downsample import Downsample
from veriscale.settings import Settings, settled
from veriscale.workflows.degrading.scan_measurement import measure_scan
from veriscale.workflows.opening import load_prior
from veriscale.workflows.restoring.prior_restorer import PriorRestorer
from veriscale.workflows.scans.in_plane import prepare_slices
from veriscale.workflows.scans.kept_state import KeptState

SCALES = (2, 4)
AXIAL = 2  # the axis of slices, in canonical axes and in these files
OTHERS = ("bicubic", "cubic spline", "lanczos")
PRIORS = ("photo", "mri")
GAINS = {"photo": ">= 1.8", "mri": ">= 2.4"}  # dB over bicubic at ×4
OVER_PHOTO = {2: ">= 0.3", 4: ">= 0.5"}  # dB, of mri
TRAINING = ("ms07", "gli00000", "tcgafg6692", "pgbm003")
HEADROOMS = (1.0, 1.05, 1.1, 1.15, 1.25)
SECONDS = 40  # of a volume of 140 slices, the metrics included


ITEMS = [f"{subject}/{contrast}/x{scale}" for scale in SCALES for subject in SUBJECTS for contrast in CONTRASTS]


def measurement(truth: Volume, scale: int) -> Volume:
    """Every slice by bicubic, in floating point, with levels of its own."""
    return measure_scan(truth, Downsample(scale)).volume.relevelled()


def restored(y: Volume, prior: Prior, scale: int) -> np.ndarray:
    """(X, Y, Z) at dial 0, in the scan's units."""
    work = prepare_slices(PriorRestorer(prior, settled(Settings(scale=scale, dial="0"))), y)
    with tempfile.TemporaryDirectory() as folder:
        result = work.restore(lambda what, done, of: None, KeptState(Path(folder) / "kept", work.facts()))
        return result.image.values()


def baselines(y: Volume, scale: int) -> dict[str, np.ndarray]:
    """(X, Y, Z) each, in the scan's units; half-pixel centres and symmetric edges, as the measurement has them."""
    values = y.values()
    height, width = (n * scale for n in values.shape[:AXIAL])
    spline = [zoom(values[..., k], scale, order=3, mode="grid-mirror", grid_mode=True) for k in range(y.shape[AXIAL])]
    return {
        "bicubic": resize(values.astype(np.float32), height, width),
        "cubic spline": np.stack(spline, axis=AXIAL),
        "lanczos": resize(values.astype(np.float32), height, width, "lanczos3"),
    }


def scores(image: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> dict[str, Any]:
    """PSNR and SSIM in the brain, PSNR over all, and Σ squared error in the brain of every slice."""
    width = data_range(truth, mask)
    slices = [np.moveaxis(a, AXIAL, 0) for a in (image, truth, mask)]
    square = np.where(mask, np.square(image.astype(np.float64) - truth), 0)
    return {
        "psnr": scan_psnr(image, truth, width, mask),
        "ssim": scan_ssim(slices[0], slices[1], width, slices[2]),
        "psnr_all": scan_psnr(image, truth, width),
        "errors": square.sum((0, 1)).tolist(),
    }


def measure(item: str, priors: dict[str, Prior], slices: int | None = None) -> dict[str, dict[str, Any]]:
    """The scores of the priors and of `OTHERS` by name, for "ms19/T1/x4"."""
    subject, contrast, scale = item.split("/")
    factor = int(scale.removeprefix("x"))
    truth, mask = scan(subject, contrast), brain(subject)
    height, width, n = truth.shape
    first = 0 if slices is None else max(0, (n - slices) // 2)
    kept = (
        slice(height // factor * factor),
        slice(width // factor * factor),
        slice(first, n if slices is None else first + slices),
    )
    truth, mask = replace(truth, samples=np.ascontiguousarray(truth.samples[kept])), mask[kept]
    small = measurement(truth, factor)
    values = truth.values()
    images = {name: restored(small, prior, factor) for name, prior in priors.items()} | baselines(small, factor)
    return {name: scores(image, values, mask) for name, image in images.items()}


def tune(prior: Prior) -> None:
    """Mean gains over bicubic of four slices of every training volume, headroom by headroom."""
    for headroom in HEADROOMS:
        normalisation.HEADROOM = headroom
        for scale in SCALES:
            found = [measure(f"{s}/{c}/x{scale}", {"photo": prior}, 4) for s in TRAINING for c in CONTRASTS]
            gain = float(np.mean([of["photo"]["psnr"] - of["bicubic"]["psnr"] for of in found]))
            print(f"headroom {headroom}, x{scale}: {gain:+.3f} dB over bicubic", flush=True)


def rows(found: dict[str, dict[str, Any]], prior: str) -> list[Row]:
    """Of each volume, and the means of the gains over enlargements."""
    start, by, rows = {"photo": "scan"}.get(prior, prior), f"prior {prior}, dial 0", []
    for item, of in found.items():
        subject, contrast, scale = item.split("/")
        key, name = f"{start}.inplane.{subject}.{contrast}.{scale}", f"{subject} {contrast} axial ×{scale[1:]}"
        for number, what, unit, end in (("psnr", "PSNR", "dB", ""), ("ssim", "SSIM", "", ".ssim")):
            against = {other: each[number] for other, each in of.items() if other != prior}
            rows.append(
                Row(f"{key}{end}", f"{name}: {what} in the brain, {by}", of[prior][number], unit, None, None, against)
            )
    for scale in SCALES:
        volumes = [of for item, of in found.items() if item.endswith(f"x{scale}")]
        for number, end, where in (("psnr", "", "in the brain"), ("psnr_all", "_all", "over all voxels")):
            gains = {o: float(np.mean([of[prior][number] - of[o][number] for of in volumes])) for o in OTHERS}
            what = f"Axial ×{scale}: PSNR {where} over bicubic, mean of {len(volumes)} volumes, {by}"
            bar = GAINS[prior] if (scale, end) == (4, "") else None
            beside = {f"over {other}": gain for other, gain in gains.items() if other != "bicubic"}
            rows.append(Row(f"{start}.inplane.x{scale}.gain{end}", what, gains["bicubic"], "dB", None, bar, beside))
    return rows


def paired_rows(found: dict[str, dict[str, Any]]) -> list[Row]:
    """By how much `mri` is better than `photo`: on average, and of each subject with an interval."""
    rows = []
    for scale, bar in OVER_PHOTO.items():
        volumes = [of for item, of in found.items() if item.endswith(f"x{scale}")]
        over = float(np.mean([of["mri"]["psnr"] - of["photo"]["psnr"] for of in volumes]))
        what = f"Axial ×{scale}: PSNR in the brain, dial 0, prior mri over photo"
        name = f"mri.inplane.x{scale}.over_photo"
        rows.append(Row(name, f"{what}, mean of {len(volumes)} volumes", over, "dB", None, bar))
        for subject in SUBJECTS:
            of = [found[f"{subject}/{contrast}/x{scale}"] for contrast in CONTRASTS]
            better = gain(*([_blocks(each[prior]["errors"]) for each in of] for prior in ("mri", "photo")))
            said, ends = f"{what}, {subject}, mean of {len(of)} contrasts", (better.low, better.high)
            rows.append(Row(f"{name}.{subject}", said, better.estimate, "dB", ends))
            rows.append(Row(f"{name}.{subject}.lowest", f"{said}: lower end", better.low, "dB", None, "> 0"))
    return rows


def _blocks(errors: list[float]) -> Columns:
    return {"error": block_sums(range(len(errors)), errors)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, help="only so many, in the middle of every volume")
    parser.add_argument("--tune", action="store_true", help="headrooms, on training subjects")
    parser.add_argument("--items", type=int, help="only so many of the volumes")
    asked = parser.parse_args()
    begun = time.monotonic()
    if asked.tune:
        tune(load_prior("photo"))
        return
    priors = {name: load_prior(name) for name in PRIORS}
    hashes = {name: prior.card.tensors_sha256 for name, prior in priors.items()}
    items = ITEMS[: asked.items]
    seconds = SECONDS if asked.slices is None else 5 + SECONDS * asked.slices / 140
    settings = {"priors": hashes, "slices": asked.slices}
    scored = measured("scan_inplane", settings, items, lambda item: measure(item, priors, asked.slices), seconds)
    found = dict(zip(items, scored, strict=True))
    for item, of in found.items():
        told = (f"{name} {one['psnr']:.2f} dB, SSIM {one['ssim']:.4f}" for name, one in of.items())
        print(f"{item}: {'; '.join(told)}", flush=True)
    if (asked.slices, asked.items) != (None, None):
        print("A part of the table is no result: nothing is written.")
        return
    table = [row for name in PRIORS for row in rows(found, name)] + paired_rows(found)
    for row in table:
        if row.bar is not None:
            print(row.id, f"{row.value:.2f}", row.holds, flush=True)
    notes = (
        "All axial slices; truth cropped at its ends to a multiple of the scale, measured by bicubic, not rounded; "
        "PSNR with the 99.9th percentile of the truth in the brain for its range, SSIM with 11×11 windows inside the "
        "slice, over the voxels of the brain, which is where at least three contrasts are not 0. The prior photo takes "
        "a slice as three equal channels, and the mean of its three is the result. Intervals: bootstrap over blocks of "
        "10 slices within a subject, the same blocks of all contrasts."
    )
    write_results("scan_inplane", table, notes, time.monotonic() - begun)


if __name__ == "__main__":
    main()
