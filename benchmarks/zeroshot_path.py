"""zeroshot.path.*: `renoise` against `interpolate` at equal distortion, and the share at a hundredth of the dial."""

import time

import numpy as np
import torch
from torch import Tensor

from cache import measured
from results import Row, write_results
from veriscale.metrics.bootstrap import paired_interval
from veriscale.traversal.dial import best_path, sigma_0, weight
from veriscale.traversal.pilot import pilot
from veriscale.traversal.start import pilot_starts
from veriscale.traversal.zero_shot import SAMPLER, STEPS
from veriscale.workflows.opening import load_prior
from zeroshot_problems import NOISE, TASKS, Methods, crops, perception, problem, single, start_of

DIALS = (0.25, 0.5, 0.75)
LOW = 0.01
WEIGHTS = tuple(k / 8 for k in range(1, 8))
STARTS = {True: (0.125, 0.25, 0.4, 0.6, 0.8), False: (0.02, 0.05, 0.125, 0.25, 0.5)}  # of a full one; below 1 or not


def look(image: Tensor, x: Tensor) -> dict[str, list[float]]:
    mse = (image - x).double().square().mean((1, 2, 3))
    return dict(
        zip(("mse", "sliced", "energy"), (list(map(float, v)) for v in (mse, *perception(image, x))), strict=True)
    )


def both(run: Methods, text: str, x: Tensor) -> dict:
    data = problem(x, text)
    anchor, full = run.fast(data), start_of(data)

    def draw(start: float, k: int = 0) -> Tensor:
        return run.proximal(data, anchor, STEPS, SAMPLER, start, k)

    draws = [draw(full), draw(full, 1)]
    ends = [look(anchor, x)], [look(draws[0], x)]
    paths = {
        "renoise": ends[0] + [look(draw(share * full), x) for share in STARTS[full < 1]] + ends[1],
        "interpolate": ends[0] + [look(anchor + w * (draws[0] - anchor), x) for w in WEIGHTS] + ends[1],
    }
    starts = pilot_starts(data.operator, full)
    parts = {s: draw(s) for s in starts}
    dials = [pilot(anchor[i], [d[i] for d in draws], lambda s, i=i: parts[s][i], starts, full) for i in range(len(x))]
    w = torch.tensor([weight(d, LOW) for d in dials], dtype=x.dtype).view(-1, 1, 1, 1)
    near = [single(run, data, anchor, i, sigma_0(d, LOW)) for i, d in enumerate(dials)]
    lows = {"interpolate": look(anchor + w * (draws[0] - anchor), x), "renoise": look(torch.cat(near), x)}
    return paths | {"low": lows, "default": best_path(run.mode, data.operator)}


def at(points: list[dict], f: float, key: str) -> np.ndarray:
    """Per picture, `key` where the mean MSE is the share f of the way, by straight lines between the points."""
    mse = np.maximum.accumulate([np.mean(p["mse"]) for p in points])
    target = mse[0] + f * (mse[-1] - mse[0])
    values = np.array([p[key] for p in points])
    return np.array([np.interp(target, mse, column) for column in values.T])


def main() -> None:
    begun = time.monotonic()
    prior = load_prior("photo")
    run = Methods(prior)
    x = crops("bsd100")
    settings = {"prior": prior.card.tensors_sha256, "stage 2": [SAMPLER, STEPS]}
    values = measured("zeroshot_path", settings, TASKS, lambda task: both(run, TASKS[task], x), 200.0)
    rows = []
    for task, of in zip(TASKS, values, strict=True):
        sign = 1 if of["default"] == "renoise" else -1
        for f in DIALS:
            for key in ("sliced", "energy"):
                a, b = at(of["interpolate"], f, key), at(of["renoise"], f, key)
                gain = paired_interval(a, b)
                top = max(sign * gain.low, sign * gain.high)
                levels = {
                    "interpolate": float(a.mean()),
                    "renoise": float(b.mean()),
                    "renoise is better by": gain.estimate,
                }
                what = f"{task}: {key} W2 at share {f:g}, at most by how much {of['default']}, the default, is better"
                rows.append(Row(f"zeroshot.path.{task}.{key}_{f:g}", what, top, bar=">= 0", against=levels))
        for path, low in of["low"].items():
            anchor, at_low, full = (np.mean(p["mse"]) for p in (of["renoise"][0], low, of["renoise"][-1]))
            share = float((at_low - anchor) / (full - anchor))
            key = f"zeroshot.dial.{task}.{path}_{LOW:g}"
            rows.append(Row(key, f"{task}: share of extra error at dial {LOW:g}, {path}", share, bar="0..0.05"))
    notes = (
        f"16 centre crops of 128² of BSD100, s = {NOISE}. The W2 of a path where its mean MSE is a share of the way "
        "from dial 0 to 1, by straight lines between five starts and seven weights. The value is the end of the paired "
        "95 % interval that is kindest to the default path: below 0 the other one is the better beyond chance."
    )
    write_results("zeroshot_path", rows, notes, time.monotonic() - begun)


if __name__ == "__main__":
    main()
