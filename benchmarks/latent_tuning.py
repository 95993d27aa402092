"""latent.tuning.*: the settings of every method over latents, chosen on two validation patches.

Ours are one for all tasks, LATENT_DEFAULT of traversal/presets.py; others have their own for every task.
"""

import json
import time
from itertools import product

import numpy as np
from torch import Tensor

from cache import measured
from climb import Best, Climb, Settings
from latent_problems import GAUSS_NEWTON, MAIN, TASKS, Methods, latent_prior
from results import Row, write_results
from veriscale.physics.data_term import DataTerm
from zeroshot_problems import NOISE, crops, perception, problem, psnr

COUNT = 2
ITERATIONS = 20, 100
"""Of `paper`: as few as five times less time than dps leaves, and as many as the authors have."""
ALL = "all"
GOALS = "psnr", "sliced"
STARTS = {
    **{f"paper_{n}": {"rate": 0.1, "timestep": 50.0} for n in ITERATIONS},
    "dps": {"zeta": 0.1},
    "resample": {"gamma": 40.0, "rate": 0.03, "iterations": 10.0},
}
FACTORS = {
    **{f"paper_{n}": {"rate": 2.0, "timestep": 2.0} for n in ITERATIONS},
    "dps": {"zeta": 2.0},
    "resample": {"gamma": 4.0, "rate": 2.0, "iterations": 3.0},
}
LIMITS = {"timestep": (1.0, 900.0), "iterations": (10.0, 90.0)}  # more of ReSample would take days
SECONDS = 150.0  # of one setting on all tasks


def main() -> None:
    begun = time.monotonic()
    print("two hours on one core, six where ReSample gains by iterations; what was scored is kept", flush=True)
    rows: list[Row] = []
    for prior in ("latent", "latent-taef2"):
        rows += tuned_rows(prior)
    notes = (
        f"The first {COUNT} centre crops of 128² of natural/validation, s = {NOISE}; one setting at a time by its "
        f"factor, as long as a step gains. `paper_N` has N iterations, the others 100 steps; `gauss-newton` draws from "
        f"the anchor of `paper_{ITERATIONS[0]}`."
    )
    write_results("latent_tuning", rows, notes, time.monotonic() - begun)


def tuned_rows(name: str) -> list[Row]:
    """Of one prior; of the one over another's latents what is ours alone, on fewer tasks, to be compared with."""
    run, x = Methods(latent_prior(name)), crops("validation", COUNT)
    ours = name == "latent"
    tasks = list(TASKS if ours else MAIN)
    problems = {task: problem(x, TASKS[task]) for task in tasks}

    def anchor(data: DataTerm, iterations: int, settings: Settings) -> Tensor:
        return run.anchor(data, iterations, settings["rate"], settings["timestep"])

    def scored(method: str, settings: Settings) -> dict[str, float]:
        found = {}
        for task, data in problems.items():
            if method.startswith("paper"):
                z = anchor(data, int(method.partition("_")[2]), settings)
            elif method == GAUSS_NEWTON:
                z = run.gauss_newton(data, anchor(data, ITERATIONS[0], settings))
            else:
                z = getattr(run, method)(data, **settings)
            image = run.picture(data, z)
            found[f"{task} psnr"] = float(psnr(image, x).mean())
            found[f"{task} sliced"] = -float(perception(image, x)[0].mean())
        for goal in GOALS:
            found[f"{ALL} {goal}"] = float(np.mean([found[f"{task} {goal}"] for task in tasks]))
        return found

    def score(method: str, settings: Settings) -> dict[str, float]:
        key = {"prior": run.prior.card.tensors_sha256, "method": method, **settings}
        return measured("latent_tuning", key, ["scores"], lambda item: scored(method, settings), SECONDS)[0]

    rows: list[Row] = []

    def keep(method: str, task: str, goal: str, best: Best) -> None:
        print(name, method, task, goal, json.dumps(best.settings), best.score, best.inside, flush=True)
        where = f"latent.tuning.{'ours' if ours else 'taef2'}.{method}.{task}.{goal}"
        what = f"{name}, {method}, {task}, at its best for {goal}"
        rows.extend(Row(f"{where}.{k}", f"{what}: {k}", value) for k, value in best.settings.items())
        unit, sign = ("dB", 1) if goal == "psnr" else ("", -1)
        beside = {"inside": float(best.inside)}
        rows.append(Row(f"{where}.score", f"{what}: the score", sign * best.score, unit, against=beside))

    for method, start in STARTS.items():
        if not ours and method not in (f"paper_{ITERATIONS[0]}", "dps"):
            continue
        climb = Climb(lambda s, method=method: score(method, s), FACTORS[method], LIMITS)
        asked = [(ALL, "psnr" if method.startswith("paper") else "sliced")]
        if ours and not method.startswith("paper"):
            asked += [(task, goal) for task in TASKS for goal in GOALS]
        for task, goal in asked:
            best = climb.best(f"{task} {goal}", [start])
            keep(method, task, goal, best)
            if ours and method == f"paper_{ITERATIONS[0]}":
                drawn = score(GAUSS_NEWTON, best.settings)
                for each, wanted in product((ALL, *TASKS), GOALS):
                    keep(GAUSS_NEWTON, each, wanted, Best({}, drawn[f"{each} {wanted}"], True))
    return rows


if __name__ == "__main__":
    main()
