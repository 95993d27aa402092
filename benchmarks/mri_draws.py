"""mri.draws.*: axial slices ×4 by the prior `mri`: do draws vary as they err, and does the dial go where it says."""

import tempfile
import time
from collections.abc import Sequence
from dataclasses import astuple, replace
from functools import reduce
from operator import add
from pathlib import Path

import numpy as np

from cache import measured
from results import Row, write_results
from scan_inplane import measurement
from scans import CONTRASTS, SUBJECTS, brain, scan
from veriscale.diffusion.prior import Prior
from veriscale.metrics.bootstrap import ratio_interval
from veriscale.metrics.coverage import coverage_sums
from veriscale.metrics.scan_distortion import data_range
from veriscale.metrics.uncertainty import SpreadSums, crps_fair, spread_skill, spread_sums
from veriscale.settings import Settings, settled
from veriscale.workflows.opening import load_prior
from veriscale.workflows.restoring.prior_restorer import PriorRestorer
from veriscale.workflows.scans.in_plane import prepare_slices
from veriscale.workflows.scans.kept_state import KeptState

SCALE, DRAWS, EVERY = 4, 8, 8  # every eighth slice
INNER = (0.25, 0.5, 0.75)
LEVEL = 0.8
ITEMS = [f"{subject}/{contrast}" for subject in SUBJECTS for contrast in CONTRASTS]


def measure(item: str, prior: Prior, dials: Sequence[float] = (0, *INNER, 1)) -> dict:
    """Of the voxels of the brain, in units of the scan's levels: squared errors by dial and slice, and of the draws."""
    subject, contrast = item.split("/")
    truth, mask = scan(subject, contrast), brain(subject)
    height, width, _ = truth.shape
    kept = slice(height // SCALE * SCALE), slice(width // SCALE * SCALE), slice(EVERY // 2, None, EVERY)
    truth, mask = replace(truth, samples=np.ascontiguousarray(truth.samples[kept])), mask[kept]
    y = measurement(truth, SCALE)
    settings = settled(Settings(scale=SCALE, dial=",".join(map(str, dials)), samples=DRAWS))
    work = prepare_slices(PriorRestorer(prior, settings), y)
    with tempfile.TemporaryDirectory() as folder:
        result = work.restore(lambda what, done, of: None, KeptState(Path(folder) / "kept", work.facts()))
    wanted = y.levels.applied(truth.values())
    errors = {}
    for f, image in result.images.items():
        square = np.square(image.samples.astype(np.float64) - wanted) * mask
        errors[f"{f:g}"] = square.sum((0, 1)).tolist()
    draws = np.stack([volume.samples[mask] for volume in result.samples])
    return {
        "errors": errors,
        "voxels": int(mask.sum()),
        "range": data_range(wanted, mask),
        "spread": astuple(spread_sums(draws, wanted[mask])),
        "covered": coverage_sums(draws, wanted[mask], (LEVEL,)).coverage[0],
        "crps": crps_fair(draws, wanted[mask]),
    }


def main() -> None:
    begun, prior = time.monotonic(), load_prior("mri")
    settings = {"prior": prior.card.tensors_sha256, "every": EVERY, "draws": DRAWS}
    found = measured("mri_draws", settings, ITEMS, lambda item: measure(item, prior), 20.0)

    def error(f: float) -> np.ndarray:
        return np.concatenate([of["errors"][f"{f:g}"] for of in found])

    rows, extra = [], error(1) - error(0)
    for f in INNER:
        share = ratio_interval(error(f) - error(0), extra)
        bounds, bar = (share.low, share.high), f"{f - 0.1:g}..{f + 0.1:g}"
        rows.append(
            Row(f"mri.draws.share_{f:g}", f"share of the extra MSE at dial {f}", share.estimate, "", bounds, bar)
        )
    g = ratio_interval(error(1), error(0))
    rows.append(Row("mri.draws.g", "MSE(1)/MSE(0), pooled", g.estimate, "", (g.low, g.high), ">= 1.75"))
    skill = spread_skill(reduce(add, (SpreadSums(*of["spread"]) for of in found)))
    rows.append(Row("mri.draws.spread_skill", f"spread–skill of {DRAWS} draws", skill, bar="0.85..1.15"))
    inside = {item: of["covered"] for item, of in zip(ITEMS, found, strict=True)}
    what = f"share of voxels inside of the {LEVEL:.0%} interval of {DRAWS} draws, mean of {len(ITEMS)} volumes"
    rows.append(
        Row("mri.draws.coverage", what, float(np.mean(list(inside.values()))), bar="0.72..0.88", against=inside)
    )
    scores = {item: of["crps"] for item, of in zip(ITEMS, found, strict=True)}
    what = "fair CRPS in units of the scan's levels, mean of the volumes"
    rows.append(Row("mri.draws.crps", what, float(np.mean(list(scores.values()))), against=scores))
    notes = (
        f"{', '.join(SUBJECTS)}, axial slices ×{SCALE}, every {EVERY}th, over the voxels of the brain; measured by "
        "bicubic, in floating point. Shares and g are over all slices, their intervals bootstraps over slices. "
        "Coverage is of t-intervals."
    )
    print(write_results("mri_draws", rows, notes, time.monotonic() - begun))
    for row in rows:
        print(row.id, f"{row.value:.4g}", row.bar or "", "" if row.holds is None else row.holds)


if __name__ == "__main__":
    main()
