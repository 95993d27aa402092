"""latent.tuning.*: the settings of every method over latents, chosen on two validation patches.

Ours are one for all tasks, LATENT_DEFAULT of traversal/presets.py; others have their own for every task.
"""

import json
import time

import numpy as np

from cache import measured
from climb import Best, Climb, Settings
from latent_problems import GAUSS_NEWTON, TASKS, Methods, latent_prior
from results import Row, write_results
from veriscale.traversal.presets import LATENT_DEFAULT
from zeroshot_problems import NOISE, crops, perception, problem, psnr

COUNT = 2
ITERATIONS = LATENT_DEFAULT.iterations
ALL = "all"
STARTS = {
    "paper": {"rate": 0.1, "timestep": 50.0},
    "dps": {"zeta": 0.1},
    "resample": {"gamma": 40.0, "rate": 0.03},
}
FACTORS = {
    "paper": {"rate": 2.0, "timestep": 2.0},
    "dps": {"zeta": 2.0},
    "resample": {"gamma": 4.0, "rate": 2.0},
}
LIMITS = {"timestep": (1.0, 900.0)}
SECONDS = 100.0  # of one setting on all tasks


def main() -> None:
    begun = time.monotonic()
    print("about 50 minutes", flush=True)
    rows: list[Row] = []
    for prior in ("latent", "latent-taef2"):
        rows += tuned_rows(prior)
    notes = (
        f"The first {COUNT} centre crops of 128² of natural/validation, s = {NOISE}; one setting at a time by its "
        f"factor, as long as a step gains. `paper` has {ITERATIONS} iterations, the others 100 steps."
    )
    write_results("latent_tuning", rows, notes, time.monotonic() - begun)


def tuned_rows(name: str) -> list[Row]:
    """Of one prior; of the one over another's latents our own two alone, to be compared with."""
    run, x = Methods(latent_prior(name)), crops("validation", COUNT)
    ours = name == "latent"
    problems = {task: problem(x, text) for task, text in TASKS.items()}

    def scored(method: str, settings: Settings) -> dict[str, float]:
        found = {}
        for task, data in problems.items():
            if method == "paper":
                z = run.anchor(data, ITERATIONS, **settings)
            elif method == GAUSS_NEWTON:
                z = run.gauss_newton(data, run.anchor(data, ITERATIONS, **settings))
            else:
                z = getattr(run, method)(data, **settings)
            image = run.picture(data, z)
            found[f"{task} psnr"] = float(psnr(image, x).mean())
            found[f"{task} sliced"] = -float(perception(image, x)[0].mean())
        for goal in ("psnr", "sliced"):
            found[f"{ALL} {goal}"] = float(np.mean([found[f"{task} {goal}"] for task in TASKS]))
        return found

    def score(method: str, settings: Settings) -> dict[str, float]:
        key = {"prior": run.prior.card.tensors_sha256, "iterations": ITERATIONS, "method": method, **settings}
        return measured("latent_tuning", key, ["scores"], lambda item: scored(method, settings), SECONDS)[0]

    rows: list[Row] = []

    def keep(method: str, task: str, goal: str, best: Best) -> None:
        print(name, method, task, goal, json.dumps(best.settings), best.score, best.inside, flush=True)
        where = f"latent.tuning.{'ours' if ours else 'taef2'}.{method}.{task}.{goal}"
        what = f"{name}, {method}, {task}, at its best for {goal}"
        rows.extend(Row(f"{where}.{k}", f"{what}: {k}", value) for k, value in best.settings.items())
        unit, sign = ("dB", 1) if goal == "psnr" else ("", -1)
        limit = {"inside": float(best.inside)}
        rows.append(Row(f"{where}.score", f"{what}: the score", sign * best.score, unit, against=limit))

    for method in STARTS if ours else ("paper", "dps"):
        climb = Climb(lambda s, method=method: score(method, s), FACTORS[method], LIMITS)
        starts = [STARTS[method]]
        asked = [(ALL, "psnr" if method == "paper" else "sliced")]
        if ours and method != "paper":
            asked += [(task, goal) for task in TASKS for goal in ("psnr", "sliced")]
        for task, goal in asked:
            best = climb.best(f"{task} {goal}", starts)
            keep(method, task, goal, best)
            if method == "paper":
                drawn = score(GAUSS_NEWTON, best.settings)
                for each in (ALL, *TASKS):
                    for wanted in ("psnr", "sliced"):
                        keep(GAUSS_NEWTON, each, wanted, Best({}, drawn[f"{each} {wanted}"], True))
    return rows


if __name__ == "__main__":
    main()
