"""zeroshot.noise.*: the anchor `fast` from no noise to much, beside total variation tuned for each task and noise."""

import time
from itertools import pairwise
from unittest.mock import patch

import numpy as np
from torch import Tensor

from cache import measured
from climb import Best, Climb
from results import Row, write_results
from veriscale.diffusion.card import Card
from veriscale.metrics.bootstrap import paired_interval
from veriscale.physics.data_term import DataTerm
from veriscale.stages.batches import quantise
from veriscale.traversal.consistency import judge
from veriscale.traversal.splitting import STEPS
from veriscale.workflows.opening import load_prior
from zeroshot_problems import TASKS, Methods, crops, problem, psnr

NOISES = (0.0, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
OPERATORS = TASKS | {"sensing": "sensing:ratio=0.5", "fourier": "fourier:accel=4"}
BARS = {"inpainting": ">= 1.5", "sensing": ">= 1.5", "sr": ">= 0.8", "blur": ">= 0.8"}  # up to s = MOST
MOST = 0.1
FLIPPED = 0.0, 0.05  # noises at which `fast` is tried without its flips too
TUNING = 4  # validation crops for the weight of total variation
FIRST, LEAST_WEIGHT = 0.005, 1e-6  # of it; below, its steps no longer reach the holes of a mask
RISES = 0.05  # dB that PSNR may rise where noise does


def tuned_weight(run: Methods, operator: str, noise: float, x: Tensor) -> Best:
    """The weight of total variation with the best PSNR on x."""
    data = stored(x, operator, noise)
    climb = Climb(
        lambda s: {"psnr": float(psnr(run.total_variation(data, **s), x).mean())},
        {"weight": 2.0},
        {"weight": (LEAST_WEIGHT, float("inf"))},
    )
    return climb.best("psnr", [{"weight": w} for w in (FIRST, max(noise / 8, 1e-5))])


def stored(x: Tensor, operator: str, noise: float) -> DataTerm:
    """The measurement as a file holds it: a picture in 8 bits, coefficients as they are."""
    data = problem(x, operator, noise)
    return DataTerm(data.operator, quantise(data.y), data.noise) if data.operator.picture else data


def usual(card: Card, data: DataTerm, noise: float, anchor: Tensor) -> list[bool | None]:
    """Whether each picture agrees with its measurement as the card says; None where it says nothing."""
    values = data.consistency(anchor, stored=data.operator.picture).tolist()
    found = [judge(card, data.operator, noise, "fast", value, data.measured) for value in values]
    return [None if v.low is None else not v.alarm for v in found]


def main() -> None:
    begun = time.monotonic()
    prior = load_prior("photo")
    run = Methods(prior)
    x, held = crops("bsd100"), crops("validation", TUNING)

    def measure(item: str) -> dict:
        task, noise = item.split(" ")
        operator, s = OPERATORS[task], float(noise)
        data = stored(x, operator, s)
        best = tuned_weight(run, operator, s, held)
        anchor = run.fast(data)
        with patch("veriscale.traversal.anchor.FLIPS", ((),)):
            unturned = run.fast(data) if s in FLIPPED else anchor
        return {
            "psnr": psnr(anchor, x).tolist(),
            "unturned": psnr(unturned, x).tolist(),
            "usual": usual(prior.card, data, s, anchor),
            "total variation": psnr(run.total_variation(data, **best.settings), x).tolist(),
            "weight": best.settings["weight"],
            "inside": best.inside,
        }

    items = [f"{task} {s:g}" for task in OPERATORS for s in NOISES]
    settings = {"prior": prior.card.tensors_sha256}
    found = dict(zip(items, measured("zeroshot_noise", settings, items, measure, 60.0), strict=True))
    rows = [row for task in OPERATORS for row in rows_of(task, found)]
    notes = (
        "16 centre crops of 128² of BSD100, RGB PSNR, unclipped; pictures are measured in 8 bits. Total variation has "
        f"its weight chosen for each task and noise on {TUNING} such crops of natural/validation, by factors of 2 from "
        f"the better of two starts; below {LEAST_WEIGHT:g} none is tried. As usual: not above what the prior's card "
        "says, for 97.5 % of photographs: it knows noises from 0 to 0.2."
    )
    write_results("zeroshot_noise", rows, notes, time.monotonic() - begun)


def rows_of(task: str, found: dict) -> list[Row]:
    rows, level, inside = [], [], 0
    within: list[bool] = []
    for s in NOISES:
        of = found[f"{task} {s:g}"]
        gain = paired_interval(np.array(of["psnr"]), np.array(of["total variation"]))
        level.append(float(np.mean(of["psnr"])))
        inside += of["inside"]
        within += [known for known in of["usual"] if known is not None]
        against = {
            "fast, dB": level[-1],
            "total variation, dB": float(np.mean(of["total variation"])),
            "its weight": of["weight"],
        }
        what = f"{task}, s = {s:g}: fast, {STEPS} evaluations, over tuned total variation"
        interval = (gain.low, gain.high)
        bar = BARS.get(task) if s <= MOST else None
        rows.append(Row(f"zeroshot.noise.{task}.{s:g}", what, gain.estimate, "dB", interval, bar, against))
        if s in FLIPPED:
            gain = paired_interval(np.array(of["psnr"]), np.array(of["unturned"]))
            what = f"{task}, s = {s:g}: what the flips within fast gain"
            key = f"zeroshot.noise.{task}.flips_{s:g}"
            rows.append(Row(key, what, gain.estimate, "dB", (gain.low, gain.high)))
    rise = max(b - a for a, b in pairwise(level))
    ends = f"zeroshot.noise.{task}"
    rows += [
        Row(f"{ends}.rise", f"{task}: largest rise of PSNR from one noise to the next", rise, "dB", bar=f"<= {RISES}"),
        Row(f"{ends}.inside", f"{task}: noises at which the weight of total variation is at no limit", inside),
    ]
    if within:
        what = f"{task}: share of pictures, 16 at each noise, that agree with their measurement as the card says"
        rows.append(Row(f"{ends}.usual", what, float(np.mean(within)), bar=">= 0.9"))
    return rows


if __name__ == "__main__":
    main()
