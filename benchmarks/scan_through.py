"""scan.through.*, scan.flicker.*, mri.*: 4 mm slices to 1 mm by `photo` and `mri`, beside cubic and Tikhonov.

`--tune PRIOR` tries rules of the anchor on a training subject instead, prints, and writes no results.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.ndimage import zoom

from cache import measured
from results import Row, write_results
from scans import brain, scan
from veriscale.diffusion.prior import Prior
from veriscale.imaging.geometry import respaced
from veriscale.imaging.volume import Volume
from veriscale.metrics.scan_distortion import data_range, scan_psnr
from veriscale.physics.slice_profile import SliceProfile
from veriscale.settings import Settings, settled
from veriscale.traversal import splitting
from veriscale.workflows.degrading.scan_measurement import measure_scan
from veriscale.workflows.opening import load_prior
from veriscale.workflows.scans.guide_scans import Guide
from veriscale.workflows.scans.kept_state import KeptState
from veriscale.workflows.scans.through_plane import prepare_through

TEST, TRAINING = "ms19", "ms07"
CONTRASTS = ("FLAIR", "T2")
BARS = {  # dB over cubic and Tikhonov, contrast by contrast
    "photo": {"cubic": (1.3, 2.5), "Tikhonov": (0.7, 1.0)},
    "mri": {"cubic": (1.5, 2.7), "Tikhonov": (0.9, 1.2), "photo": (0.0, 0.0)},
}
FLICKER = {"photo": "<= 1.5", "mri": "<= 1.3"}  # of dial 1
ENERGY = "0.85..1.15"
THICK = 4  # mm
WEIGHTS = [10.0 ** (k / 2) for k in range(-16, 1)]
MIDDLE = 48, 164, 64  # voxels of the training subject
RULES = [
    *(splitting.Rule(0.7, 0.03, relaxation=relaxation) for relaxation in (1.0, 0.8, 0.5, 0.35)),
    *(splitting.Rule(high, 0.03, relaxation=0.5) for high in (0.35, 1.5)),
    *(splitting.Rule(0.7, low, relaxation=0.5) for low in (0.015, 0.06)),
    splitting.Rule(0.7, 0.03, trust=0.5, relaxation=0.5),
]


def truth_of(subject: str, contrast: str, middle: tuple[int, ...] | None = None) -> tuple[Volume, np.ndarray]:
    """A volume whose slices come in fours, and its brain; of its middle alone, where that is asked for."""
    volume = scan(subject, contrast)
    x, y, z = volume.shape
    kept = (slice(x), slice(y), slice(z // THICK * THICK))
    if middle is not None:
        kept = tuple(slice((n - m) // 2, (n + m) // 2) for n, m in zip(volume.shape, middle, strict=True))
    return replace(volume, samples=np.ascontiguousarray(volume.samples[kept])), brain(subject)[kept]


def thick(truth: Volume) -> Volume:
    """Slices of 4 mm, 4 mm apart, in floating point, with levels of their own."""
    return measure_scan(truth, SliceProfile(THICK, THICK, axis=2)).volume.relevelled()


def restored(y: Volume, prior: Prior, dial: str, guides: Sequence[Guide] = ()) -> list[np.ndarray]:
    """(X, Y, Z) for each dial position, in the scan's units."""
    grid = respaced(y.grid, (None, None, 1.0))
    work = prepare_through(prior, settled(Settings(dial=dial)), y, grid, THICK, guides=guides)
    with tempfile.TemporaryDirectory() as folder:
        result = work.restore(lambda what, done, of: None, KeptState(Path(folder) / "kept", work.facts()))
    return [image.values() for image in result.images.values()]


def cubic(values: np.ndarray) -> np.ndarray:
    return zoom(values, (1, 1, THICK), order=3, mode="grid-mirror", grid_mode=True)


def tikhonov(values: np.ndarray, weight: float) -> np.ndarray:
    """argmin ‖Ax − y‖² + ρ‖∂_z x‖²."""
    n = values.shape[2] * THICK
    operator = SliceProfile(THICK, THICK, axis=2).bind(np.eye(4))
    a = operator.forward(torch.eye(n, dtype=torch.float64).view(n, 1, 1, 1, n)).view(n, -1).T.numpy()
    d = np.diff(np.eye(n), axis=0)
    return values @ np.linalg.solve(a.T @ a + weight * d.T @ d, a.T).T


def steps(values: np.ndarray, mask: np.ndarray) -> list[float]:
    """Mean squares of x[k + 1] − x[k] by k mod 4 over pairs in the brain."""
    pairs, step = mask[..., 1:] & mask[..., :-1], np.square(np.diff(values, axis=2))
    return [float(step[..., k::THICK][pairs[..., k::THICK]].mean()) for k in range(THICK)]


def flicker(means: Sequence[float]) -> float:
    """The largest of `steps` over the smallest."""
    return max(means) / min(means)


def measure(contrast: str, priors: dict[str, Prior]) -> dict[str, Any]:
    """PSNR in the brain, where there is one, and `steps` of everything."""
    truth, mask = truth_of(TRAINING, contrast)
    values, small = truth.values(), thick(truth).values()
    width = data_range(values, mask)
    weight = max(WEIGHTS, key=lambda w: scan_psnr(tikhonov(small, w), values, width, mask))
    truth, mask = truth_of(TEST, contrast)
    y, values = thick(truth), truth.values()
    width = data_range(values, mask)
    images = {
        "cubic": cubic(y.values()),
        "Tikhonov": tikhonov(y.values(), weight),
        "plain decimation, cubic": cubic(values[..., 1::THICK]),
    }
    for name, prior in priors.items():
        images[name], images[f"{name}, dial 1"] = restored(y, prior, "0,1")
    return {
        "psnr": {k: scan_psnr(v, values, width, mask) for k, v in images.items()},
        "steps": {k: steps(v, mask) for k, v in {**images, "truth": values}.items()},
        "weight": weight,
    }


def tune(prior: Prior) -> None:
    """Gains over cubic on the middle of the training subject, rule by rule."""
    for rule in RULES:
        splitting.THICK_SLICES = rule
        for contrast in CONTRASTS:
            truth, mask = truth_of(TRAINING, contrast, MIDDLE)
            y, values = thick(truth), truth.values()
            width = data_range(values, mask)
            image = restored(y, prior, "0")[0]
            gain = scan_psnr(image, values, width, mask) - scan_psnr(cubic(y.values()), values, width, mask)
            print(
                f"{rule} {contrast}: {gain:+.2f} dB over cubic, flicker {flicker(steps(image, mask)):.2f}", flush=True
            )


def rows(contrast: str, of: dict[str, Any], name: str) -> list[Row]:
    """Of one prior: gains at dial 0, flicker at both ends, energy of steps at dial 1."""
    psnr, means, full = of["psnr"], of["steps"], f"{name}, dial 1"
    start, what = {"photo": "scan"}.get(name, name), f"{TEST} {contrast}, {THICK} mm to 1 mm, prior {name}"
    found = []
    for other, bars in BARS[name].items():
        said = f"{what}: PSNR in the brain, dial 0 over {other}"
        bar = f">= {bars[CONTRASTS.index(contrast)]:g}"
        id = f"{start}.through.{contrast}.over_{other.lower()}"
        found.append(Row(id, said, psnr[name] - psnr[other], "dB", None, bar, psnr))
    flickers = {k: flicker(means[k]) for k in ("truth", "cubic", "Tikhonov")}
    said = f"{what}: flicker from slice to slice"
    key = f"{start}.flicker.{contrast}"
    found.append(Row(f"{key}.dial_0", f"{said}, dial 0", flicker(means[name]), against=flickers))
    found.append(Row(f"{key}.dial_1", f"{said}, dial 1", flicker(means[full]), bar=FLICKER[name]))
    energy = {k: float(np.mean(v) / np.mean(means["truth"])) for k, v in means.items()}
    said = f"{what}: energy of steps from slice to slice over the truth's, dial 1"
    bar = ENERGY if name == "mri" else None
    found.append(Row(f"{key}.energy", said, energy[full], "", None, bar, {"dial 0": energy[name]}))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tune", metavar="PRIOR")
    begun, asked = time.monotonic(), parser.parse_args()
    if asked.tune:
        tune(load_prior(asked.tune))
        return
    priors = {name: load_prior(name) for name in BARS}
    settings = {"priors": {name: prior.card.tensors_sha256 for name, prior in priors.items()}}
    found = measured("scan_through", settings, CONTRASTS, lambda contrast: measure(contrast, priors), 400.0)
    table = [
        row for name in BARS for contrast, of in zip(CONTRASTS, found, strict=True) for row in rows(contrast, of, name)
    ]
    weights = ", ".join(f"{contrast} {of['weight']:.2g}" for contrast, of in zip(CONTRASTS, found, strict=True))
    notes = (
        f"Slices of a Gaussian profile of {THICK} mm, {THICK} mm apart, in floating point and without noise, of the "
        "whole volume; PSNR's range is the truth's 99.9th percentile in the brain. Tikhonov is argmin ‖Ax − y‖² + "
        f"ρ‖∂_z x‖² with ρ the best on {TRAINING} ({weights}); cubic is a spline in world coordinates; plain "
        "decimation is one slice of four. Flicker is the mean square of x[k + 1] − x[k] by k mod 4, the largest over "
        "the smallest; energy is its mean over k."
    )
    print(write_results("scan_through", table, notes, time.monotonic() - begun))


if __name__ == "__main__":
    main()
