"""scan.inplane.*: axial slices ×2 and ×4 by the prior `photo` at dial 0, beside bicubic, cubic spline and Lanczos.

`--slices N` takes the N slices in the middle, prints, and writes no results. `--tune` tries headrooms of the levels
on training subjects, prints too, and writes none either.
"""

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.ndimage import zoom

from cache import measured
from results import Row, write_results
from scans import CONTRASTS, SUBJECTS, brain, scan
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
GAIN = ">= 1.8"  # dB at ×4
TRAINING = ("ms07", "gli00000", "tcgafg6692", "pgbm003")
HEADROOMS = (1.0, 1.05, 1.1, 1.15, 1.25)
SECONDS = 25  # of a volume of 140 slices, the metrics included


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


def scores(image: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> list[float]:
    """PSNR and SSIM in the brain, PSNR over all."""
    width = data_range(truth, mask)
    slices = [np.moveaxis(a, AXIAL, 0) for a in (image, truth, mask)]
    inside = scan_psnr(image, truth, width, mask)
    return [inside, scan_ssim(slices[0], slices[1], width, slices[2]), scan_psnr(image, truth, width)]


def measure(item: str, prior: Prior, slices: int | None = None) -> list[list[float]]:
    """The scores of the prior and of `OTHERS`, for "ms19/T1/x4"."""
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
    images = [restored(small, prior, factor), *(baselines(small, factor)[name] for name in OTHERS)]
    return [scores(image, values, mask) for image in images]


def tune(prior: Prior) -> None:
    """Mean gains over bicubic of four slices of every training volume, headroom by headroom."""
    for headroom in HEADROOMS:
        normalisation.HEADROOM = headroom
        for scale in SCALES:
            found = [measure(f"{s}/{c}/x{scale}", prior, 4) for s in TRAINING for c in CONTRASTS]
            gain = float(np.mean([of[0][0] - of[1][0] for of in found]))
            print(f"headroom {headroom}, x{scale}: {gain:+.3f} dB over bicubic", flush=True)


def rows(values: np.ndarray) -> list[Row]:
    """Of (16, 4, 3): items; the prior and `OTHERS`; PSNR and SSIM in the brain, PSNR over all."""
    found = []
    for item, of in zip(ITEMS, values, strict=True):
        subject, contrast, scale = item.split("/")
        key, name = f"scan.inplane.{subject}.{contrast}.{scale}", f"{subject} {contrast} axial ×{scale[1:]}"
        for number, what, unit in ((0, "PSNR in the brain", "dB"), (1, "SSIM in the brain", "")):
            against = {other: float(of[k, number]) for k, other in enumerate(OTHERS, start=1)}
            end = ".ssim" if number else ""
            found.append(Row(f"{key}{end}", f"{name}: {what}, dial 0", float(of[0, number]), unit, against=against))
    for scale in SCALES:
        of = values[[item.endswith(f"x{scale}") for item in ITEMS]]
        for number, end, where in ((0, "", "in the brain"), (2, "_all", "over all voxels")):
            gains = {other: float((of[:, 0, number] - of[:, k, number]).mean()) for k, other in enumerate(OTHERS, 1)}
            what = f"Axial ×{scale}: PSNR {where} over bicubic, mean of {len(of)} volumes, dial 0"
            bar = GAIN if (scale, end) == (4, "") else None
            beside = {f"over {other}": gain for other, gain in gains.items() if other != "bicubic"}
            found.append(Row(f"scan.inplane.x{scale}.gain{end}", what, gains["bicubic"], "dB", bar=bar, against=beside))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, help="only so many, in the middle of every volume")
    parser.add_argument("--tune", action="store_true", help="headrooms, on training subjects")
    parser.add_argument("--items", type=int, help="only so many of the volumes")
    asked = parser.parse_args()
    begun = time.monotonic()
    prior = load_prior("photo")
    if asked.tune:
        tune(prior)
        return
    settings = {"prior": prior.card.tensors_sha256, "slices": asked.slices}
    items = ITEMS[: asked.items]
    seconds = SECONDS if asked.slices is None else 5 + SECONDS * asked.slices / 140
    found = measured("scan_inplane", settings, items, lambda item: measure(item, prior, asked.slices), seconds)
    for item, of in zip(items, found, strict=True):
        told = (f"{name} {one[0]:.2f} dB, SSIM {one[1]:.4f}" for name, one in zip(("photo", *OTHERS), of, strict=True))
        print(f"{item}: {'; '.join(told)}", flush=True)
    if (asked.slices, asked.items) != (None, None):
        print("A part of the table is no result: nothing is written.")
        return
    table = rows(np.array(found))
    for row in table[-4:]:
        print(row.id, f"{row.value:.2f}", "" if row.holds is None else row.holds, flush=True)
    notes = (
        "All axial slices; truth cropped at its ends to a multiple of the scale, measured by bicubic, not rounded; "
        "PSNR with the 99.9th percentile of the truth in the brain for its range, SSIM with 11×11 windows inside the "
        "slice, over the voxels of the brain, which is where at least three contrasts are not 0."
    )
    write_results("scan_inplane", table, notes, time.monotonic() - begun)


if __name__ == "__main__":
    main()
