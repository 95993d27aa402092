"""zeroshot.*: any measurement by the unconditional prior, beside other methods on the same denoiser."""

import time
from itertools import product

import numpy as np
import torch
from torch import Tensor

from cache import measured
from results import RESULTS, Row, write_results
from veriscale.metrics.bootstrap import paired_interval
from veriscale.runtime.networks import encode
from veriscale.traversal import zero_shot
from veriscale.traversal.consistency import consistent
from veriscale.traversal.dial import sigma_0, weight
from veriscale.traversal.pilot import pilot
from veriscale.traversal.splitting import STEPS
from veriscale.traversal.start import pilot_starts
from veriscale.workflows.opening import load_prior
from zeroshot_problems import NOISE, NONLINEAR, TASKS, Methods, crops, one, perception, problem, psnr, single, start_of
from zeroshot_tuning import GOALS, ITERATIONS, tuned

DRAWS = 8
INNER = (0.25, 0.5, 0.75)
PEERS = ("total variation", *(f"paper {n}" for n in ITERATIONS), "dps", "diffpir")


def scores(image: Tensor, x: Tensor) -> dict[str, list[float]]:
    sliced, energy = perception(image, x)
    mse = (image - x).double().square().mean((1, 2, 3))
    found = {"psnr": psnr(image, x), "mse": mse, "sliced": sliced, "energy": energy}
    return {k: list(map(float, v)) for k, v in found.items()}


def linear(run: Methods, task: str, text: str, x: Tensor) -> dict:
    data = problem(x, text)
    widest = start_of(data)
    out = {"start": scores(data.start(), x)}
    anchor = run.fast(data)
    out["fast"] = scores(anchor, x)
    moved = torch.cat([consistent(anchor[i : i + 1], one(data, i)) for i in range(len(x))])
    out["fast, consistent"] = scores(moved, x)
    out["agreement"] = {"fast": data.consistency(anchor).tolist(), "fast, consistent": data.consistency(moved).tolist()}
    for goal in GOALS:
        at = {name: tuned(task, name, goal) for name in PEERS}
        out[f"total variation {goal}"] = scores(run.total_variation(data, **at["total variation"]), x)
        for n in ITERATIONS:
            out[f"paper {n} {goal}"] = scores(run.paper(data, n, **at[f"paper {n}"]), x)
        out[f"dps {goal}"] = scores(run.dps(data, anchor, 100, **at["dps"]), x)
        out[f"diffpir {goal}"] = scores(run.diffpir(data, anchor, 100, **at["diffpir"]), x)
    settings = tuned(task, "mean of dps", "psnr")
    draws = [run.dps(data, anchor, 100, **settings, draw=k) for k in range(DRAWS)]
    out["mean of 8 dps"] = scores(torch.stack(draws).mean(0), x)

    def draw(start: float, k: int = 0) -> Tensor:
        return run.proximal(data, anchor, zero_shot.STEPS, zero_shot.SAMPLER, start, k)

    full = [draw(widest, k) for k in range(2)]
    out["dial 1"] = scores(full[0], x)
    starts = pilot_starts(data.operator, widest)
    parts = {s: draw(s) for s in starts}
    dials = [pilot(anchor[i], [f[i] for f in full], lambda s, i=i: parts[s][i], starts, widest) for i in range(len(x))]
    out["kappa"] = [d.kappa for d in dials]
    for f in INNER:
        w = torch.tensor([weight(d, f) for d in dials]).view(-1, 1, 1, 1)
        out[f"interpolate {f}"] = scores(anchor + w * (full[0] - anchor), x)
        levels = [sigma_0(d, f) for d in dials]
        out[f"renoise {f}"] = scores(torch.cat([single(run, data, anchor, i, s) for i, s in enumerate(levels)]), x)
    return out


def nonlinear(run: Methods, task: str, text: str, x: Tensor) -> dict:
    data = problem(x, text)
    anchor = run.paper(data, 200, **tuned(task, "paper", "psnr"), factor=1.0)
    draw = run.dps(data, anchor, 100, **tuned(task, "dps", "psnr"))
    ours = run.fast(data)
    start = start_of(data)
    ours_draw = run.proximal(data, ours, zero_shot.STEPS, zero_shot.SAMPLER, start)
    pictures = {"start": data.start(), "fast": ours, "proximal": ours_draw, "paper": anchor, "dps": draw}
    out: dict = {k: scores(v, x) for k, v in pictures.items()}
    out["agreement"] = {k: data.consistency(v).tolist() for k, v in pictures.items()}
    return out


def seconds(run: Methods, x: Tensor) -> dict[str, float]:
    """Two crops, blur, best of two runs for the short ones."""
    data = problem(x[:2], TASKS["blur"])
    anchor = run.fast(data)
    full = start_of(data)
    dps, diffpir = (tuned("blur", name, "sliced") for name in ("dps", "diffpir"))

    def clock(work, times: int = 3) -> float:
        spent = []
        for _ in range(times):
            begun = time.perf_counter()
            work()
            spent.append(time.perf_counter() - begun)
        return min(spent)

    return {
        "fast": clock(lambda: run.fast(data)),
        "proximal": clock(lambda: run.proximal(data, anchor, zero_shot.STEPS, zero_shot.SAMPLER, full)),
        "dps 100": clock(lambda: run.dps(data, anchor, 100, **dps), 2),
        "dps 1000": clock(lambda: run.dps(data, anchor, 1000, **dps), 1),
        "diffpir 100": clock(lambda: run.diffpir(data, anchor, 100, **diffpir), 2),
    }


def bicubic(run: Methods, prior, x: Tensor) -> dict:
    """The encoder and the zero-shot anchor on the measurement that the encoder was trained for."""
    data = problem(x, "downsample:factor=4,kernel=bicubic")
    means = [encode(prior, y[None], 4, NOISE, features=False).mean for y in data.y]
    return {"encoder": scores(torch.cat(means), x), "fast": scores(run.fast(data), x)}


def main() -> None:
    begun = time.monotonic()
    prior = load_prior("photo")
    run = Methods(prior)
    x = crops("bsd100")

    def measure(item: str) -> dict:
        if item == "seconds":
            return seconds(run, x)
        if item == "bicubic":
            return bicubic(run, prior, x)
        return linear(run, item, TASKS[item], x) if item in TASKS else nonlinear(run, item, NONLINEAR[item], x)

    settings = {
        "prior": prior.card.tensors_sha256,
        "tuning": (RESULTS / "zeroshot_tuning.json").read_text(),
        "stage 2": [zero_shot.SAMPLER, zero_shot.STEPS],
    }
    items = ["seconds", "bicubic", *TASKS, *NONLINEAR]
    found = dict(zip(items, measured("zeroshot", settings, items, measure, 200.0), strict=True))
    families = anchor_rows, fair_rows, draw_rows, dial_rows, other_rows
    rows = [*time_rows(found["seconds"]), *(row for family in families for row in family(found))]
    notes = (
        f"16 centre crops of 128² of BSD100, s = {NOISE}, RGB PSNR, unclipped. Settings from zeroshot_tuning.json "
        "(natural/validation): each method at its best for PSNR and at its best for sliced W2; ours has none. `paper` "
        "has 100 or 400 iterations, `dps` and `diffpir` 100 steps, `fast` 16 and a draw 20. Times are at the settings "
        "for looks. Second stages of all methods start at the same anchor; their times are without it."
    )
    write_results("zeroshot", rows, notes, time.monotonic() - begun)


def mean(values: list[float]) -> float:
    return float(np.mean(values))


def gain(a: list[float], b: list[float]) -> tuple[float, tuple[float, float]]:
    bounds = paired_interval(np.array(a), np.array(b))
    return bounds.estimate, (bounds.low, bounds.high)


def anchor_rows(found: dict) -> list[Row]:
    rows = []
    for task in TASKS:
        of = found[task]
        level = {k: mean(v["psnr"]) for k, v in of.items() if isinstance(v, dict) and "psnr" in v}
        others = {name: level[f"{name} psnr"] for name in PEERS}
        others |= {k: level[k] for k in ("start", "mean of 8 dps")}
        rows.append(
            Row(
                f"zeroshot.anchor.{task}",
                f"{task}: PSNR of fast, {STEPS} evaluations",
                level["fast"],
                "dB",
                against=others,
            )
        )
        for name, key, bar in (
            ("mean of 8 dps", "mean_of_8_dps", ">= 0"),
            ("total variation psnr", "total_variation", ">= 1"),
        ):
            value, bounds = gain(of["fast"]["psnr"], of[name]["psnr"])
            what = f"{task}: fast over {name.removesuffix(' psnr')}"
            rows.append(Row(f"zeroshot.anchor.{task}.over_{key}", what, value, "dB", bounds, bar))
        value, bounds = gain(of["fast, consistent"]["psnr"], of["fast"]["psnr"])
        agreement = {k: mean(v) for k, v in of["agreement"].items()}
        rows.append(
            Row(f"zeroshot.anchor.{task}.consistent", f"{task}: what --consistent does to PSNR", value, "dB", bounds)
        )
        rows.append(
            Row(
                f"zeroshot.anchor.{task}.agreement",
                f"{task}: consistency of fast",
                agreement["fast"],
                against={"--consistent": agreement["fast, consistent"]},
            )
        )
    value, bounds = gain(found["bicubic"]["encoder"]["psnr"], found["bicubic"]["fast"]["psnr"])
    levels = {k: mean(v["psnr"]) for k, v in found["bicubic"].items()}
    rows.append(
        Row("zeroshot.anchor.sr.encoder_gap", "bicubic x4: the encoder over fast", value, "dB", bounds, against=levels)
    )
    return rows


def fair_rows(found: dict) -> list[Row]:
    """Both numbers of every method at both of its settings."""
    rows = []
    for task in TASKS:
        of = found[task]
        inner = [f"{path} {f}" for path in ("interpolate", "renoise") for f in INNER]
        peers = [f"{name} {goal}" for name in PEERS for goal in GOALS]
        for name in ("fast", *inner, "dial 1", "mean of 8 dps", *peers):
            value, beside = mean(of[name]["sliced"]), {"PSNR, dB": mean(of[name]["psnr"])}
            what = name.replace(" psnr", " at its best PSNR").replace(" sliced", " at its best sliced W2")
            key = f"zeroshot.fair.{task}.{name.replace(' ', '_')}"
            rows.append(Row(key, f"{task}: sliced W2 of {what}", value, against=beside))
        best = max((f"paper {n} psnr" for n in ITERATIONS), key=lambda name: mean(of[name]["psnr"]))
        value, bounds = gain(of["fast"]["psnr"], of[best]["psnr"])
        what = f"{task}: fast over {best.removesuffix(' psnr')}, whichever number of iterations is better"
        rows.append(Row(f"zeroshot.fair.{task}.over_paper", what, value, "dB", bounds, ">= -0.05"))
    return rows


def time_rows(spent: dict[str, float]) -> list[Row]:
    def ratio(key: str, what: str, a: str, b: str, bar: str) -> Row:
        return Row(key, what, spent[b] / spent[a], "x", bar=bar)

    total = spent["fast"] + spent["proximal"]
    return [
        ratio("zeroshot.time.dps100", "dps at 100 steps over fast, time", "fast", "dps 100", ">= 10"),
        ratio("zeroshot.time.dps1000", "dps at 1000 steps over fast, time", "fast", "dps 1000", ">= 100"),
        ratio("zeroshot.draws.time_dps", "dps at 100 steps over proximal, time", "proximal", "dps 100", ">= 10"),
        ratio("zeroshot.draws.time_diffpir", "DiffPIR-style over proximal, time", "proximal", "diffpir 100", ">= 4"),
        Row(
            "zeroshot.time.whole_dps",
            "dps at 100 steps, without its anchor, over fast and proximal together, time",
            spent["dps 100"] / total,
            "x",
            bar=">= 6",
        ),
        Row(
            "zeroshot.time.whole_diffpir",
            "DiffPIR-style, without its anchor, over fast and proximal together, time",
            spent["diffpir 100"] / total,
            "x",
            bar=">= 2.5",
        ),
        Row("zeroshot.time.fast", "fast, one 128² crop", spent["fast"] / 2, "s"),
    ]


def draw_rows(found: dict) -> list[Row]:
    rows = []
    for task in TASKS:
        of = found[task]
        for key, unit in (("psnr", "dB"), ("sliced", ""), ("energy", "")):
            others = {f"{k} for {goal}": mean(of[f"{k} {goal}"][key]) for k in ("dps", "diffpir") for goal in GOALS}
            rows.append(
                Row(
                    f"zeroshot.draws.{task}.{key}",
                    f"{task}: proximal at dial 1, {key}",
                    mean(of["dial 1"][key]),
                    unit,
                    against=others,
                )
            )
        for peer, goal in product(("dps", "diffpir"), GOALS):
            closer = gain(of["dial 1"]["psnr"], of[f"{peer} {goal}"]["psnr"])
            looks = gain(of[f"{peer} {goal}"]["sliced"], of["dial 1"]["sliced"])
            best = "PSNR" if goal == "psnr" else "sliced W2"
            rows.append(
                Row(
                    f"zeroshot.draws.{task}.against_{peer}_{goal}",
                    f"{task}: of PSNR and sliced W2, in how many proximal is not worse than {peer} at its best {best}",
                    sum(bounds[1] >= 0 for _, bounds in (closer, looks)),
                    bar=">= 2",
                    against={"PSNR gained, dB": closer[0], "sliced W2 gained": looks[0]},
                )
            )
    return rows


def dial_rows(found: dict) -> list[Row]:
    rows = []
    for task in TASKS:
        of = found[task]
        low, high = mean(of["fast"]["mse"]), mean(of["dial 1"]["mse"])
        for path in ("interpolate", "renoise"):
            for f in INNER:
                share = (mean(of[f"{path} {f}"]["mse"]) - low) / (high - low)
                bar = f"{f - 0.15:g}..{f + 0.15:g}"
                rows.append(
                    Row(
                        f"zeroshot.dial.{task}.{path}_{f}",
                        f"{task}: share of extra error at dial {f}, {path}",
                        share,
                        bar=bar,
                    )
                )
        rows.append(Row(f"zeroshot.dial.{task}.g", f"{task}: MSE(1)/MSE(0)", high / low))
    return rows


def other_rows(found: dict) -> list[Row]:
    rows = []
    for task in NONLINEAR:
        of = found[task]
        value, bounds = gain(of["fast"]["psnr"], of["paper"]["psnr"])
        what = f"{task}: PSNR of fast, {STEPS} evaluations, over tuned paper, 200"
        rows.append(Row(f"zeroshot.nonlinear.{task}.fast_over_paper", what, value, "dB", bounds))
        value, bounds = gain(of["fast"]["sliced"], of["proximal"]["sliced"])
        levels = {k: mean(of[k]["sliced"]) for k in ("fast", "proximal", "paper", "dps")}
        what = f"{task}: by how much a draw looks better than dial 0, sliced W2"
        rows.append(Row(f"zeroshot.nonlinear.{task}.draw_looks_better", what, value, "", bounds, against=levels))
        for name in ("fast", "proximal", "paper", "dps"):
            value, bounds = gain(of[name]["psnr"], of["start"]["psnr"])
            levels = {k: mean(of[k]["psnr"]) for k in ("start", name)}
            rows.append(
                Row(
                    f"zeroshot.nonlinear.{task}.{name}",
                    f"{task}: PSNR of {name} over the start",
                    value,
                    "dB",
                    bounds,
                    "> 0" if name in ("paper", "dps") else None,  # the others are not what is taken by default
                    levels,
                )
            )
        for name in ("fast", "proximal", "paper", "dps"):
            ratio = mean(of["agreement"][name]) / mean(of["agreement"]["start"])
            levels = {k: mean(of["agreement"][k]) for k in ("start", name)}
            rows.append(
                Row(
                    f"zeroshot.nonlinear.{task}.{name}_consistency",
                    f"{task}: misfit of {name} over that of the start",
                    ratio,
                    bar="< 1" if name in ("paper", "dps") else None,
                    against=levels,
                )
            )
    return rows


if __name__ == "__main__":
    main()
