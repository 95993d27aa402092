"""photo.dial.* and photo.perception.*: the dial on BSD100 ×4, on both paths, from the same draws."""

import time
from dataclasses import astuple
from functools import reduce
from operator import add

import numpy as np

from cache import measured
from pictures import centre, files, measurement, truth
from results import Row, write_results
from veriscale.metrics.bootstrap import interval, paired_interval, ratio_interval
from veriscale.metrics.distortion import mse, psnr_luma
from veriscale.metrics.fine_energy import FineSums, fine_sums
from veriscale.metrics.perception import energy_w2, sliced_w2
from veriscale.metrics.uncertainty import SpreadSums, spread_skill, spread_sums
from veriscale.workflows.opening import load_prior
from veriscale.workflows.restoring.door import restore

SCALE, DRAWS = 4, 8
DIALS = (0.0, 0.25, 0.5, 0.75, 1.0)
INNER = (0.25, 0.5, 0.75)
PATHS = ("renoise", "interpolate")


def scores(image: np.ndarray, x: np.ndarray) -> dict[str, float]:
    return {
        "mse": mse(image, x),
        "psnr": psnr_luma(image, x, SCALE),
        "sliced": float(sliced_w2([image], [x])[0]),
        "energy": float(energy_w2([image], [x]).mean[0]),
    }


def main() -> None:
    begun = time.monotonic()
    prior = load_prior("photo")

    def measure(path: str) -> dict:
        x = centre(truth(path, SCALE))
        y = measurement(x, SCALE)
        sampled = restore(y, prior, scale=SCALE, dial=DIALS, path="renoise", samples=DRAWS)
        faded = restore(y, prior, scale=SCALE, dial=INNER, path="interpolate")
        pictures = {f"renoise {f:g}": p.pixels for f, p in sampled.images.items()}
        pictures |= {f"interpolate {f:g}": p.pixels for f, p in faded.images.items()}
        anchor, draw = pictures["renoise 0"], pictures["renoise 1"]
        pictures |= {"interpolate 0": anchor, "interpolate 1": draw, "mean": sampled.mean.pixels}
        extra = max(0.0, mse(draw, x) - mse(anchor, x))
        white = np.random.default_rng(0).standard_normal(x.shape, np.float32)
        pictures["white"] = anchor + np.float32(np.sqrt(extra)) * white
        sums = spread_sums(np.stack([p.pixels for p in sampled.samples]), x)
        fine = {f"{f:g}": [astuple(s) for s in fine_sums(sampled.images[f].pixels, x)] for f in DIALS}
        return {name: scores(image, x) for name, image in pictures.items()} | {"spread": astuple(sums), "fine": fine}

    settings = {"prior": prior.card.tensors_sha256, "scale": SCALE, "draws": DRAWS, "dials": DIALS}
    values = measured("photo_dial", settings, map(str, files("bsd100")), measure, 6.0)

    def column(name: str, key: str) -> np.ndarray:
        return np.array([v[name][key] for v in values])

    rows = []
    anchor, full = column("renoise 0", "mse"), column("renoise 1", "mse")
    for path in PATHS:
        for f in INNER:
            here = column(f"{path} {f:g}", "mse")
            share = ratio_interval(here - anchor, full - anchor)
            what = f"share of the extra MSE at f = {f:g}, path {path}"
            bounds = (share.low, share.high)
            rows.append(
                Row(f"photo.dial.share_{path}_{f:g}", what, share.estimate, "", bounds, f"{f - 0.1:g}..{f + 0.1:g}")
            )
    g = ratio_interval(full, anchor)
    rows.append(Row("photo.dial.g", "g = MSE(1)/MSE(0), RGB, pooled", g.estimate, "", (g.low, g.high), ">= 1.85"))
    sums = reduce(add, (SpreadSums(*v["spread"]) for v in values))
    rows.append(
        Row(
            "photo.dial.spread_skill",
            f"spread–skill of {DRAWS} draws at dial 1; 1 is calibrated",
            spread_skill(sums),
            bar="0.9..1.1",
        )
    )
    for kind, bar in (("flat", "0.85..1.15"), ("textured", "0.85..1.1")):
        for f in (0.0, 0.5, 1.0):
            ratio = reduce(add, (FineSums(*v["fine"][f"{f:g}"][kind == "textured"]) for v in values)).ratio
            what = f"{kind} blocks of the same pictures: fine energy at f = {f:g} over the truth's, RMS"
            rows.append(Row(f"photo.dial.{kind}_{f:g}", what, ratio, bar=bar if f == 1 else None))
    gain = ratio_interval(column("mean", "mse"), anchor)
    what = f"MSE of the mean of {DRAWS} draws over MSE of the anchor"
    rows.append(Row("photo.dial.mean_of_draws", what, gain.estimate, "", (gain.low, gain.high)))

    units = {"psnr": "dB", "sliced": "grey levels", "energy": "log units"}
    names = {"psnr": "luma PSNR", "sliced": "sliced W2 of patches", "energy": "W2 of local log-energy"}
    for key, unit in units.items():
        for path in PATHS:
            for f in DIALS:
                if path == "interpolate" and f in (0.0, 1.0):
                    continue  # the ends are shared
                v = interval(column(f"{path} {f:g}", key))
                where = f"{path}_{f:g}" if f not in (0.0, 1.0) else f"{f:g}"
                what = f"{names[key]} at f = {f:g}{f', path {path}' if f not in (0.0, 1.0) else ''}"
                rows.append(Row(f"photo.perception.{key}_{where}", what, v.estimate, unit, (v.low, v.high)))
        for other in ("white", "mean"):
            v = interval(column(other, key))
            what = {"white": "anchor with white noise, at the MSE of dial 1", "mean": "mean of draws"}[other]
            rows.append(
                Row(f"photo.perception.{key}_{other}", f"{names[key]}, {what}", v.estimate, unit, (v.low, v.high))
            )
    for key in ("sliced", "energy"):
        better = paired_interval(column("renoise 0", key), column("renoise 1", key))
        what = f"{names[key]}: f = 0 minus f = 1, lower end of the paired interval"
        rows.append(
            Row(f"photo.perception.{key}_gain_0_to_1", what, better.low, units[key], (better.low, better.high), "> 0")
        )
        noise = paired_interval(column("white", key), column("renoise 1", key))
        what = f"{names[key]}: white noise minus dial 1 at equal MSE, lower end of the paired interval"
        rows.append(
            Row(f"photo.perception.{key}_white_loses", what, noise.low, units[key], (noise.low, noise.high), "> 0")
        )
        for f in INNER:
            d = paired_interval(column(f"interpolate {f:g}", key), column(f"renoise {f:g}", key))
            what = f"{names[key]}: interpolate minus renoise at f = {f:g}; above 0 renoise wins"
            rows.append(Row(f"photo.perception.{key}_paths_{f:g}", what, d.estimate, units[key], (d.low, d.high)))
        d = paired_interval(column("mean", key), column("renoise 0.5", key))
        what = f"{names[key]}: mean of draws minus renoise at f = 0.5; above 0 renoise wins"
        rows.append(Row(f"photo.perception.{key}_mean_of_draws", what, d.estimate, units[key], (d.low, d.high)))
    notes = (
        "BSD100 ×4, 160² centre crops taken as the pictures; dial table from natural/validation; intervals are paired "
        "bootstraps over the 100 pictures; perception numbers are means over pictures, each against its own truth."
    )
    write_results("photo_dial", rows, notes, time.monotonic() - begun)
    for row in rows:
        print(row.id, f"{row.value:.4g}", row.bar or "", "" if row.holds is None else row.holds)


if __name__ == "__main__":
    main()
