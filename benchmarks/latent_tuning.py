"""latent.tuning.*: the settings of every method over latents, chosen on two validation patches.

Ours are one for all tasks, LATENT_DEFAULT of traversal/presets.py; others have their own for every task.
"""

import json
import time
from dataclasses import asdict, replace
from functools import partial
from itertools import product

import numpy as np
from torch import Tensor

from cache import measured
from climb import Best, Climb, Settings
from latent_chosen import NAME, mark
from latent_problems import (
    DIALLED,
    DIALS,
    DPS,
    FEW,
    GAUSS_NEWTON,
    MAIN,
    MOST,
    OTHER,
    TASKS,
    Methods,
    latent_prior,
    ours,
)
from results import Row, write_results
from veriscale.diffusion.card import PATHS
from veriscale.latent.prior import LatentPrior
from veriscale.physics.data_term import DataTerm
from veriscale.traversal.presets import LATENT_DEFAULT, LatentPreset
from zeroshot_problems import NOISE, crops, perception, problem, psnr

COUNT = 2
ITERATIONS = FEW, 100
"""Of `paper`: as few as five times less time than dps leaves, and as many as the authors have."""
ALL = "all"
GOALS = "psnr", "sliced"
STARTS = {
    **{f"paper_{n}": {"rate": 0.1, "timestep": 50.0} for n in ITERATIONS},
    "dps": {"zeta": 0.1},
    "dps_plain": {"zeta": 0.1, "plain": 1.0},
    "resample": {"gamma": 40.0, "rate": 0.03, "iterations": 10.0},
}
FACTORS = {
    **{f"paper_{n}": {"rate": 2.0, "timestep": 2.0} for n in ITERATIONS},
    **{method: {"zeta": 2.0} for method in (*DPS, "mean_of_dps")},
    "resample": {"gamma": 4.0, "rate": 2.0, "iterations": 3.0},
}
LIMITS = {"timestep": (1.0, 900.0), "iterations": (10.0, float(MOST))}
SECONDS = 150.0  # of one setting on all tasks


def main() -> None:
    begun = time.monotonic()
    print("about four hours on one core; what was scored is kept", flush=True)
    rows: list[Row] = []
    priors = {name: latent_prior(name) for name in ("latent", OTHER)}
    for name, prior in priors.items():
        rows += tuned_rows(name, prior)
    notes = (
        f"The first {COUNT} centre crops of 128² of natural/validation, s = {NOISE}; one setting at a time by its "
        "factor, as long as a step gains. `paper_N` has N iterations, others 100 steps; `gauss-newton` draws from the "
        f"anchor of `paper_{FEW}`; steps of `dps_plain` are not weighted by ᾱ; `mean_of_dps` begins with the better "
        "of both. path: of the settings chosen, means over dials between 0 and 1. Of the priors "
        f"{' and '.join(map(mark, priors.values()))}."
    )
    write_results(NAME, rows, notes, time.monotonic() - begun)


def tuned_rows(name: str, prior: LatentPrior) -> list[Row]:
    """Of one prior; of the one over another's latents what is ours alone, to be compared with."""
    tuning = Tuning(name, Methods(prior), crops("validation", COUNT))
    anchor = tuning.keep(f"paper_{FEW}", ALL, "psnr")
    draw = tuning.keep("dps", ALL, "sliced")
    if name == OTHER:
        return tuning.rows
    drawn = tuning.score(GAUSS_NEWTON, anchor)
    for task, goal in product((ALL, *TASKS), GOALS):
        tuning.add(GAUSS_NEWTON, task, goal, Best({}, drawn[f"{task} {goal}"], True))
    tuning.keep(f"paper_{ITERATIONS[1]}", ALL, "psnr")
    for method, task, goal in product((*DPS, "resample"), TASKS, GOALS):
        tuning.keep(method, task, goal)
    begin = max((tuning.climbs[method].best(f"{ALL} psnr", [STARTS[method]]) for method in DPS), key=lambda b: b.score)
    for task in MAIN:
        tuning.keep("mean_of_dps", task, "psnr", begin.settings)
    knobs = replace(LATENT_DEFAULT, iterations=FEW, **anchor | draw | {"timestep": round(anchor["timestep"])})
    return tuning.rows + path_rows(prior, tuning.x, knobs)


class Tuning:
    """The searches of every method on one prior, and the rows of what was found.

    Args:
        name: of the prior.
        run: methods on it.
        x: pictures.
    """

    def __init__(self, name: str, run: Methods, x: Tensor) -> None:
        self.name, self.run, self.x, self.rows = name, run, x, list[Row]()
        self.problems = {task: problem(x, TASKS[task]) for task in TASKS}
        self.climbs = {
            method: Climb(partial(self.score, method), factors, LIMITS) for method, factors in FACTORS.items()
        }

    def keep(self, method: str, task: str, goal: str, start: Settings | None = None) -> Settings:
        """Search, and add rows."""
        best = self.climbs[method].best(f"{task} {goal}", [start or STARTS[method]])
        self.add(method, task, goal, best)
        return best.settings

    def add(self, method: str, task: str, goal: str, best: Best) -> None:
        """The rows of what was found."""
        print(self.name, method, task, goal, json.dumps(best.settings), best.score, best.inside, flush=True)
        where = f"latent.tuning.{'taef2' if self.name == OTHER else 'ours'}.{method}.{task}.{goal}"
        what = f"{self.name}, {method}, {task}, at its best for {goal}"
        self.rows.extend(Row(f"{where}.{k}", f"{what}: {k}", value) for k, value in best.settings.items())
        unit, sign = ("dB", 1) if goal == "psnr" else ("", -1)
        beside = {"inside": float(best.inside)}
        self.rows.append(Row(f"{where}.score", f"{what}: the score", sign * best.score, unit, against=beside))

    def score(self, method: str, settings: Settings) -> dict[str, float]:
        """Of every task and goal, and their means, from the cache where they are there."""
        key = {"prior": self.run.prior.card.tensors_sha256, "method": method, **settings}
        return measured(NAME, key, ["scores"], lambda item: self._scored(method, settings), SECONDS)[0]

    def _scored(self, method: str, settings: Settings) -> dict[str, float]:
        found, tasks = {}, MAIN if method == "mean_of_dps" else tuple(TASKS)
        for task in tasks:
            image = self._image(method, self.problems[task], settings)
            found[f"{task} psnr"] = float(psnr(image, self.x).mean())
            found[f"{task} sliced"] = -float(perception(image, self.x)[0].mean())
        for goal in GOALS:
            found[f"{ALL} {goal}"] = float(np.mean([found[f"{task} {goal}"] for task in tasks]))
        return found

    def _image(self, method: str, data: DataTerm, settings: Settings) -> Tensor:
        run = self.run
        if method == "mean_of_dps":
            return run.mean_of_dps(data, **settings)
        if method.startswith("paper"):
            z = run.anchor(data, int(method.partition("_")[2]), settings["rate"], settings["timestep"])
        elif method == GAUSS_NEWTON:
            z = run.gauss_newton(data, run.anchor(data, FEW, settings["rate"], settings["timestep"]))
        else:
            z = getattr(run, "dps" if method in DPS else method)(data, **settings)
        return run.picture(data, z)


def path_rows(prior: LatentPrior, x: Tensor, knobs: LatentPreset) -> list[Row]:
    """What looks better between dial 0 and 1, by both paths."""

    def looks(item: str) -> dict[str, dict[str, float]]:
        data = problem(x, TASKS[item])
        of = {path: ours(prior, data, x, DIALS, knobs, path) for path in PATHS}
        return {
            number: {path: float(np.mean([of[path][f"dial {f:g}"][number] for f in DIALS[1:-1]])) for path in PATHS}
            for number in ("sliced", "energy")
        }

    key = {"prior": prior.card.tensors_sha256, "knobs": asdict(knobs)}
    each = dict(zip(DIALLED, measured("latent_tuning_path", key, DIALLED, looks, 8 * SECONDS), strict=True))
    rows = []
    for task, found in each.items():
        for number, by in found.items():
            what = f"{task}: mean {number} W2 between dial 0 and 1, by renoise"
            rows.append(Row(f"latent.tuning.path.{task}.{number}", what, by.pop(PATHS[0]), against=by))
    return rows


if __name__ == "__main__":
    main()
