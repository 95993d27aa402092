"""The rows of latent.*: what `latent.py` measured, in words and with bars."""

import numpy as np

from latent_problems import DIALLED, DIALS, LONG, OTHER
from results import Row
from veriscale.metrics.bootstrap import paired_interval
from veriscale.traversal.presets import LATENT_DEFAULT

FLOOR_SIDE = 128
PATH = "interpolate"
"""Of latent priors."""


def mean(values: list[float]) -> float:
    return float(np.mean(values))


def gain(a: list[float], b: list[float]) -> tuple[float, tuple[float, float]]:
    bounds = paired_interval(np.array(a), np.array(b))
    return bounds.estimate, (bounds.low, bounds.high)


def cached_rows(entries: list[dict]) -> list[Row]:
    return [Row(**{key: value for key, value in entry.items() if key != "holds"}) for entry in entries]


def floor_rows(found: dict) -> list[Row]:
    rows = []
    for name, bar in (("latent", ">= 26"), (OTHER, None)):
        of = found[f"floor {name}"]
        beside = {k: mean(of[k]) for k in ("sliced", "energy")}
        key = "ours" if name == "latent" else "taef2"
        what = f"encoding and decoding alone, {key}, {FLOOR_SIDE}² centres of validation photographs"
        rows.append(Row(f"latent.floor.{key}", what, mean(of["psnr"]), "dB", bar=bar, against=beside))
    return rows


def anchor_rows(task: str, found: dict) -> list[Row]:
    us, them, taken = found[f"{task} ours"], found[f"{task} others"], found[f"{task} seconds"]
    anchor, rows, names = us["dial 0"], [], list(them)
    ceiling = mean(found[f"{task} floor"]["psnr"])
    levels = {n: mean(them[n]["psnr"]) for n in names} | {"autoencoder alone": ceiling}
    what = f"{task}: PSNR of the anchor over latents, {LATENT_DEFAULT.iterations} iterations"
    rows.append(Row(f"latent.anchor.{task}", what, mean(anchor["psnr"]), "dB", against=levels))
    for number in ("sliced", "energy"):
        looks = {n: mean(them[n][number]) for n in names} | {"a draw of ours": mean(us["dial 1"][number])}
        looks["autoencoder alone"] = mean(found[f"{task} floor"][number])
        what = f"{task}: {number} W2 of the anchor over latents"
        rows.append(Row(f"latent.anchor.{task}.{number}", what, mean(anchor[number]), against=looks))
    for name in (n for n in names if not n.endswith("looks")):
        value, bounds = gain(anchor["psnr"], them[name]["psnr"])
        bar = ">= -0.2" if name.startswith("mean") else "> 0"
        key = f"latent.anchor.{task}.over_{name.replace(' ', '_')}"
        rows.append(Row(key, f"{task}: the anchor over {name}, PSNR", value, "dB", bounds, bar))
    what = f"{task}: dps at {LONG} steps over the anchor, time of one picture"
    rows.append(Row(f"latent.anchor.{task}.time", what, taken["dps"] / taken["anchor"], "x", bar=">= 5"))
    return rows


def dial_rows(task: str, path: str, us: dict, floor: dict) -> list[Row]:
    rows, barred = [], task in DIALLED and path == PATH
    low, high = mean(us["dial 0"]["mse"]), mean(us["dial 1"]["mse"])
    for f in DIALS[1:-1]:
        share = (mean(us[f"dial {f:g}"]["mse"]) - low) / (high - low)
        bar = f"{f - 0.15:g}..{f + 0.15:g}" if barred else None
        rows.append(
            Row(f"latent.dial.{path}.{task}.share_{f:g}", f"{task}, {path}: extra error at dial {f:g}", share, bar=bar)
        )
    for number in ("sliced", "energy"):
        value, bounds = gain(us["dial 0"][number], us["dial 1"][number])
        beside = {f"dial {f:g}": mean(us[f"dial {f:g}"][number]) for f in DIALS}
        beside["autoencoder alone"] = mean(floor[number][: len(us["dial 0"][number])])
        what = f"{task}, {path}: what dial 1 gains over dial 0 in {number} W2, lower end of its interval"
        bar = "> 0" if barred else None
        rows.append(
            Row(f"latent.dial.{path}.{task}.{number}", what, bounds[0], "", bounds, bar, beside | {"mean": value})
        )
    return rows


def pixel_rows(task: str, us: dict, them: dict, floor: dict, taken: dict[str, float]) -> list[Row]:
    rows = []
    for f in ("0", "1"):
        for number, unit in (("psnr", "dB"), ("sliced", ""), ("energy", "")):
            beside = {"photo": mean(them[f"dial {f}"][number]), "autoencoder alone": mean(floor[number])}
            what = f"{task}: {number} over latents, dial {f}"
            key = f"latent.pixel.{task}.{number}_{f}"
            rows.append(Row(key, what, mean(us[f"dial {f}"][number]), unit, against=beside))
    for stage, name in (("anchor", "anchor"), ("draw", "dps")):
        beside = {"photo": taken[f"photo {stage}"]}
        what = f"{task}: seconds of one 128² {stage} over latents"
        rows.append(Row(f"latent.pixel.{task}.seconds_{stage}", what, taken[name], "s", against=beside))
    return rows


def taef2_rows(task: str, us: dict, them: dict, floor: dict, floor_of_taef2: dict) -> list[Row]:
    rows = []
    for f in them:
        beside = {"ours": mean(us[f]["psnr"]), "sliced W2": mean(them[f]["sliced"])}
        beside["ours, sliced W2"] = mean(us[f]["sliced"])
        beside |= {"TAEF2 alone": mean(floor_of_taef2["psnr"]), "our autoencoder alone": mean(floor["psnr"])}
        what = (
            f"{task}: PSNR over TAEF2's latents, {f}; the same network, steps and latents a step, which are of four "
            "times the pixels"
        )
        key = f"latent.taef2.{task}.{f.replace(' ', '')}"
        rows.append(Row(key, what, mean(them[f]["psnr"]), "dB", against=beside))
    return rows
