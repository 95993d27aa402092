"""zeroshot.noise.*: the anchor `fast` from no noise to much, beside total variation tuned for each task and noise."""

import time
from itertools import pairwise

import numpy as np
from torch import Tensor

from cache import measured
from results import Row, write_results
from veriscale.metrics.bootstrap import paired_interval
from veriscale.physics.data_term import DataTerm
from veriscale.physics.operator import LinearOperator
from veriscale.physics.registry import parse_operator
from veriscale.stages.batches import quantise
from veriscale.stages.consistency import usual
from veriscale.traversal.splitting import STEPS
from veriscale.workflows.opening import load_prior
from zeroshot_problems import TASKS, Methods, crops, problem, psnr

NOISES = (0.0, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1)
OPERATORS = TASKS | {"sensing": "sensing:ratio=0.5"}
MASKS = ("inpainting", "sensing")
USUAL = 12  # validation crops for the usual consistency
TUNING, TUNING_SIDE = 6, 64  # validation crops for the weight of total variation, and their side
WEIGHTS = tuple(1e-6 * 2**k for k in range(17))  # to be tried: from one to the next while it gains
RISES = 0.05  # dB that PSNR may rise where noise does


def tuned_weight(run: Methods, operator: str, noise: float, x: Tensor) -> tuple[float, bool]:
    """The weight of total variation with the best PSNR on x, and whether it lies inside of `WEIGHTS`."""
    data = stored(x, operator, noise)
    scored: dict[int, float] = {}

    def score(k: int) -> float:
        if k not in scored:
            scored[k] = float(psnr(run.total_variation(data, WEIGHTS[k]), x).mean())
        return scored[k]

    k = int(np.argmin([abs(w - noise / 8) for w in WEIGHTS[3:]])) + 3
    for step in (1, -1):
        while 0 <= k + step < len(WEIGHTS) and score(k + step) > score(k):
            k += step
    return WEIGHTS[k], 0 < k < len(WEIGHTS) - 1


def stored(x: Tensor, operator: str, noise: float) -> DataTerm:
    """The measurement as a file holds it: a picture in 8 bits, coefficients as they are."""
    data = problem(x, operator, noise)
    return DataTerm(data.operator, quantise(data.y), data.noise) if data.operator.picture else data


def one(data: DataTerm, anchor: Tensor, x: Tensor) -> dict[str, list[float]]:
    return {
        "psnr": psnr(anchor, x).tolist(),
        "consistency": data.consistency(anchor, stored=data.operator.picture).tolist(),
    }


def main() -> None:
    begun = time.monotonic()
    prior = load_prior("photo")
    run = Methods(prior)
    x, held = crops("bsd100"), crops("validation", USUAL)
    cut = slice((x.shape[-1] - TUNING_SIDE) // 2, (x.shape[-1] + TUNING_SIDE) // 2)

    def measure(item: str) -> dict:
        task, noise = item.split(" ")
        operator, s = OPERATORS[task], float(noise)
        if s < 0:
            a = parse_operator(operator)
            assert isinstance(a, LinearOperator)
            known = usual(prior, a, held)
            return {"noise": known.noise_std, "low": known.low, "high": known.high}
        data = stored(x, operator, s)
        weight, inside = tuned_weight(run, operator, s, held[:TUNING, :, cut, cut])
        found: dict = one(data, run.fast(data), x)
        found["total variation"] = psnr(run.total_variation(data, weight), x).tolist()
        return found | {"weight": weight, "inside": inside}

    items = [f"{task} {s:g}" for task in OPERATORS for s in (-1, *NOISES)]
    settings = {"prior": prior.card.tensors_sha256, "modes": str(prior.card.modes[0])}
    found = dict(zip(items, measured("zeroshot_noise", settings, items, measure, 60.0), strict=True))
    rows = [row for task in OPERATORS for row in rows_of(task, found)]
    notes = (
        "16 centre crops of 128² of BSD100, RGB PSNR, unclipped; pictures are measured in 8 bits. Total variation has "
        f"its weight chosen for each task and noise on {TUNING} crops of {TUNING_SIDE}² of natural/validation among "
        f"{len(WEIGHTS)} weights a factor of 2 apart (`inside`: whether the best is at neither end). What is usual for "
        f"the consistency was measured on {USUAL} crops of natural/validation as stages/consistency.py does it for a "
        "card, between its noises interpolated as the card is."
    )
    write_results("zeroshot_noise", rows, notes, time.monotonic() - begun)


def rows_of(task: str, found: dict) -> list[Row]:
    rows, level, inside, within = [], [], 0, 0
    known = found[f"{task} -1"]
    knots = np.log(np.maximum(known["noise"], 1e-3))
    bar = ">= 1.5" if task in MASKS else ">= 0.8"
    for s in NOISES:
        of = found[f"{task} {s:g}"]
        gain = paired_interval(np.array(of["psnr"]), np.array(of["total variation"]))
        level.append(float(np.mean(of["psnr"])))
        value = float(np.mean(of["consistency"]))
        low, high = (float(np.exp(np.interp(np.log(max(s, 1e-3)), knots, np.log(known[k])))) for k in ("low", "high"))
        inside += of["inside"]
        within += low <= value <= high
        against = {
            "fast, dB": level[-1],
            "total variation, dB": float(np.mean(of["total variation"])),
            "its weight": of["weight"],
            "consistency of fast": value,
            "usual from": low,
            "usual to": high,
        }
        what = f"{task}, s = {s:g}: fast, {STEPS} evaluations, over tuned total variation"
        interval = (gain.low, gain.high)
        rows.append(Row(f"zeroshot.noise.{task}.{s:g}", what, gain.estimate, "dB", interval, bar, against))
    rise = max(b - a for a, b in pairwise(level))
    ends = f"zeroshot.noise.{task}"
    rows += [
        Row(f"{ends}.rise", f"{task}: largest rise of PSNR from one noise to the next", rise, "dB", bar=f"<= {RISES}"),
        Row(
            f"{ends}.usual",
            f"{task}: at how many of {len(NOISES)} noises the mean consistency is as usual",
            within,
            bar=f">= {len(NOISES)}",
        ),
        Row(f"{ends}.inside", f"{task}: noises at which the weight of total variation is at no edge", inside),
    ]
    return rows


if __name__ == "__main__":
    main()
