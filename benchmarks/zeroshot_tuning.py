"""zeroshot.tuning.*: every other method's settings, for distortion and for looks, chosen on validation photographs."""

import json
import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from cache import measured
from climb import Climb, Settings
from results import RESULTS, Row, write_results
from veriscale.physics.data_term import DataTerm
from veriscale.workflows.opening import load_prior
from zeroshot_problems import NOISE, NONLINEAR, TASKS, Methods, crops, perception, problem, psnr

COUNT = 4  # crops of 128², as large as those of the test: the step of `dps` is of a norm, and so of the size
DRAWS = 4
GOALS = ("psnr", "sliced")
ITERATIONS = (100, 400)  # of `paper`: the latter as its authors have on inpainting
# Its authors' rate and level are 0.25, and 0.022 (t = 10) or 0.0865 (t = 50), on [0, 1].
PAPER = [{"rate": r, "sigma": s, "factor": 1.0} for r, s in ((0.25, 0.022), (0.25, 0.0865), (0.125, 0.0865))]
# The prior knows levels up to 10; a share of fresh noise ends at 1.
STARTS = {"start": (0.125, 10.0)}
FRESH = STARTS | {"fresh": (1e-3, 1.0)}


def tuned(task: str, method: str, goal: str) -> Settings:
    """Settings of a method that are best for a goal, from zeroshot_tuning.json."""
    rows = json.loads((RESULTS / "zeroshot_tuning.json").read_text())["rows"]
    (row,) = [r for r in rows if r["id"] == f"zeroshot.tuning.{task}.{method.replace(' ', '_')}.{goal}"]
    return {k: v for k, v in row["against"].items() if k != "inside"}


def search(
    make: Callable[[Settings], Tensor],
    x: Tensor,
    starts: Sequence[Settings],
    factors: Settings,
    limits: dict[str, tuple[float, float]] | None = None,
    goals: Sequence[str] = GOALS,
) -> dict:
    """goal -> its best settings, score and whether no limit holds them."""

    def score(settings: Settings) -> dict[str, float]:
        image = make(settings)
        found = {"psnr": float(psnr(image, x).mean())}
        return found | ({"sliced": -float(perception(image, x)[0].mean())} if "sliced" in goals else {})

    climb = Climb(score, factors, limits)
    found = {goal: climb.best(goal, starts) for goal in goals}
    return {
        goal: {"settings": best.settings, "score": abs(best.score), "inside": best.inside}
        for goal, best in found.items()
    }


def tune(run: Methods, task: str, method: str, x: Tensor) -> dict:
    """Every variant of a method on a task: its settings for each goal."""
    if task in NONLINEAR:
        return nonlinear(run, method, problem(x, NONLINEAR[task]), x)
    data = problem(x, TASKS[task])
    if method == "total variation":
        return {method: search(lambda s: run.total_variation(data, **s), x, [{"weight": 0.005}], {"weight": 2})}
    if method == "paper":
        few, many = ITERATIONS
        make = lambda s, n=few: run.paper(data, n, **s)  # noqa: E731
        found = search(make, x, PAPER, {"rate": 2.0, "sigma": 2.0, "factor": 2.0})
        make = lambda s: run.paper(data, many, **s)  # noqa: E731
        starts = [
            *PAPER,
            *(of["settings"] for of in found.values()),
        ]  # the weight's factor stays as one of these has it
        return {f"paper {few}": found, f"paper {many}": search(make, x, starts, {"rate": 2.0, "sigma": 2.0})}
    anchor = run.fast(data)
    if method == "diffpir":
        first = {"scale": 0.5, "fresh": 0.25, "start": 2.0}
        make = lambda s: run.diffpir(data, anchor, 100, **s)  # noqa: E731
        return {method: search(make, x, [first], {"scale": 2, "fresh": 2, "start": 2}, FRESH)}
    make = lambda s: run.dps(data, anchor, 100, **s)  # noqa: E731
    found = search(make, x, [{"zeta": 4.0, "start": 2.0}], {"zeta": 2, "start": 2}, STARTS)
    means = {}
    for goal in GOALS:
        settings = found[goal]["settings"]
        draws = [run.dps(data, anchor, 100, **settings, draw=k) for k in range(DRAWS)]
        means[goal] = float(psnr(torch.stack(draws).mean(0), x).mean())
    best = max(means, key=means.get)
    mean = {"settings": found[best]["settings"], "score": means[best], "inside": found[best]["inside"]}
    return {method: found, "mean of dps": {"psnr": mean}}


def nonlinear(run: Methods, method: str, data: DataTerm, x: Tensor) -> dict:
    """By PSNR alone; `dps` from the anchor that the authors' settings of `paper` make."""
    if method == "paper":
        make = lambda s: run.paper(data, 100, **s, factor=1.0)  # noqa: E731
        starts = [{k: s[k] for k in ("rate", "sigma")} for s in PAPER]
        return {method: search(make, x, starts, {"rate": 2, "sigma": 2}, goals=GOALS[:1])}
    anchor = run.paper(data, 100, **PAPER[-1])
    make = lambda s: run.dps(data, anchor, 100, **s)  # noqa: E731
    factors = {"zeta": 2.0, "start": 2.0}
    return {method: search(make, x, [{"zeta": 4.0, "start": 1.0}], factors, STARTS, GOALS[:1])}


def main() -> None:
    begun = time.monotonic()
    prior = load_prior("photo")
    run = Methods(prior)
    x = crops("validation", COUNT)
    items = [f"{t} {m}" for t in TASKS for m in ("total variation", "dps", "diffpir", "paper")]
    items += [f"{t} {m}" for t in NONLINEAR for m in ("paper", "dps")]
    settings = {"prior": prior.card.tensors_sha256}
    found = measured("zeroshot_tuning", settings, items, lambda i: tune(run, *i.split(" ", 1), x), 300.0)
    rows = []
    for item, variants in zip(items, found, strict=True):
        task = item.split(" ")[0]
        for method, goals in variants.items():
            for goal, of in goals.items():
                what = f"{method}, {task}: best on validation for {'PSNR' if goal == 'psnr' else 'sliced W2'}"
                key, unit = f"zeroshot.tuning.{task}.{method.replace(' ', '_')}.{goal}", "dB" if goal == "psnr" else ""
                beside = of["settings"] | {"inside": float(of["inside"])}
                rows.append(Row(key, what, of["score"], unit, against=beside))
    held = sum(1 - row.against["inside"] for row in rows if row.against)
    rows.append(Row("zeroshot.tuning.at_limit", f"settings of {len(rows)} that a limit of the method holds", held))
    notes = (
        f"natural/validation, the first {COUNT} centre crops of 128²; s = {NOISE}. Settings are climbed to one at a "
        "time by factors of 2 until no step gains 0.02, from several starts for `paper`, the authors' among them, so "
        "that there is no grid with edges. A limit is a start above level 10, which the prior does not know, or all "
        f"noise fresh. `mean of dps`: of those of `dps`, the settings whose {DRAWS} draws have the better mean."
    )
    write_results("zeroshot_tuning", rows, notes, time.monotonic() - begun)


if __name__ == "__main__":
    main()
