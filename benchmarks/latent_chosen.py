"""What latent_tuning.py chose, read from its results."""

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from latent_problems import DPS, FEW
from results import RESULTS
from veriscale.latent.prior import LatentPrior
from veriscale.traversal.presets import LATENT_DEFAULT, LatentPreset

NAME = "latent_tuning"


def tuned(method: str, task: str, goal: str, prior: str = "ours") -> dict[str, float]:
    """Settings of a method."""
    return {end: row["value"] for end, row in _rows(method, task, goal, prior) if "against" not in row}


def best_dps(task: str, goal: str) -> dict[str, float]:
    """Settings of latent DPS, of the length of its steps among them, that was the better."""

    def error(method: str) -> float:
        [score] = [row["value"] for end, row in _rows(method, task, goal) if end == "score"]
        return -score if goal == "psnr" else score

    return tuned(min(DPS, key=error), task, goal)


def chosen_knobs(prior: str) -> LatentPreset:
    """Of both stages, "ours" or "taef2"."""
    chosen = tuned(f"paper_{FEW}", "all", "psnr", prior) | tuned("dps", "all", "sliced", prior)
    return replace(LATENT_DEFAULT, iterations=FEW, **chosen | {"timestep": round(chosen["timestep"])})


def mark(prior: LatentPrior) -> str:
    """By which results say whom settings were chosen for."""
    return f"{prior.card.name} {prior.card.tensors_sha256[:12]}"


def check_default(priors: Iterable[LatentPrior]) -> None:
    """Exit where what `restore` does by default is not what was chosen, or was chosen for other priors."""
    if not (RESULTS / f"{NAME}.json").is_file():
        raise SystemExit(f"docs/results/{NAME}.json is not there; make it: python benchmarks/{NAME}.py")
    notes = _file()["notes"]
    for prior in priors:
        if mark(prior) not in notes:
            raise SystemExit(f"docs/results/{NAME}.json is of another {prior.card.name}; make it anew")
    if (wanted := chosen_knobs("ours")) != LATENT_DEFAULT:
        raise SystemExit(f"LATENT_DEFAULT of traversal/presets.py is not what was chosen; set it to {wanted}")


def _file() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((RESULTS / f"{NAME}.json").read_text(encoding="utf-8"))
    return found


def _rows(method: str, task: str, goal: str, prior: str = "ours") -> list[tuple[str, dict[str, Any]]]:
    prefix = f"latent.tuning.{prior}.{method}.{task}.{goal}."
    return [(row["id"].removeprefix(prefix), row) for row in _file()["rows"] if row["id"].startswith(prefix)]
