"""The runs of the study of few subjects: trained and scored once, and kept, so that what was cut off goes on."""

import hashlib
import json
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from few_shot_patients import Target, drawn
from few_shot_scores import SAMPLES, SEED, SIDE, SLICES, Numbers, Slices, baseline_scores, scores, slices_of
from results import ROOT
from veriscale.diffusion.card import Card
from veriscale.diffusion.checkpoint import read_card
from veriscale.diffusion.library import STATE
from veriscale.diffusion.prior import Prior
from veriscale.errors import InputError
from veriscale.stages.rates import default_rate
from veriscale.stages.training import train
from veriscale.workflows.opening import load_prior

PARENTS = {
    "msp": "study-domain",
    "dft": "study-source",
    "long": "study-long",
    "rate": "study-rate",
    "scratch": None,
}
"""Of each arm: by way of heads, from photographs, from photographs for as many steps as both; by heads at the rate of
photographs; none."""
DEFAULT = "all"
"""What the recipe trains: named before anything was measured."""
DRAWS = (0, 1, 2)
FACTORS = (0.3, 1.0, 3.0)
"""Of the usual rate of what is trained: the trials of every arm."""
FURTHER = (0.03, 0.1, 10.0, 30.0)
"""Tried one by one, on the side where an arm's best trial is the outermost."""
TUNED_ON, TUNED_COUNT, TUNED_DRAW = "acdc", 10, 0
SCORER = Path(__file__).with_name("few_shot_scores.py")
RECIPE = ROOT / "recipes" / "study" / "target.toml"


@dataclass(frozen=True)
class Run:
    """One prior of the study.

    Attributes:
        arm: of `PARENTS`.
        count: of patients; 0 is the parent as it is.
        draw: of patients, and the recipe's seed; where all are taken it is the seed alone.
        trainable: of the recipe.
        target: by its name.
        factor: of the usual rates; None: that of the arm's best trial.
    """

    arm: str
    count: int
    draw: int = 0
    trainable: str = DEFAULT
    target: str = TUNED_ON
    factor: float | None = None


class NotKeptError(Exception):
    """A run or a score is not there, and none is to be made."""


@dataclass(frozen=True, eq=False)
class Study:
    """Runs with a place to lie in.

    Attributes:
        folder: of runs and scores.
        parents: folder of the priors that runs begin with.
        targets: by their names.
        photo: by name or file, the prior of photographs.
        recipe: of a run.
        tell: told of every run before it is trained.
        fresh: whether what is not there is made; else it is `NotKeptError`.
    """

    folder: Path
    parents: Path
    targets: Mapping[str, Target]
    photo: str = "photo"
    recipe: Path = RECIPE
    tell: Callable[[str], None] = lambda line: None
    fresh: bool = True

    def prior(self, run: Run) -> Path:
        """The file of a run, trained where it is not there, and taken up where it was left.

        Raises:
            SystemExit: its parent is not there.
        """
        if run.count == 0:
            return self._parent(run.arm)
        factor = self.factor(run.arm, run.trainable) if run.factor is None else run.factor
        settings, made_of = self.settings(run, factor), [self.recipe.read_text(encoding="utf-8")]
        begun = []
        if PARENTS[run.arm] is not None:
            parent = self._parent(run.arm)
            made_of.append(read_card(parent).tensors_sha256)
            begun = [f"stage.target.init_from={json.dumps(str(parent))}"]
        digest = hashlib.sha256(json.dumps([made_of, settings]).encode()).hexdigest()[:8]
        what = f"{run.target}_{run.arm}_k{run.count}_draw{run.draw}_{run.trainable.replace(':', '')}_{factor:g}"
        path = self.folder / "runs" / f"{what}_{digest}.safetensors"
        if not path.exists():
            self._want_fresh(path)
            self.tell(f"training {what}")
            train(self.recipe, path, resume=True, overrides=[*settings, *begun])
        path.with_suffix(STATE).unlink(missing_ok=True)
        return path

    def settings(self, run: Run, factor: float) -> list[str]:
        """Of the recipe for a run, but for its parent."""
        target = self.targets[run.target]
        patients = [str(file) for file in drawn(target.pool, run.count, run.draw)]
        rate = default_rate("adam", run.trainable) * factor
        return [
            *target.settings,
            f"seed={run.draw}",
            f"stage.target.data={json.dumps(patients)}",
            f"stage.target.validation={json.dumps([str(file) for file in target.validation])}",
            f"stage.target.trainable={run.trainable}",
            *(f"stage.target.{network}.lr={rate!r}" for network in ("encoder", "denoiser")),
        ]

    def _parent(self, arm: str) -> Path:
        path = self.parents / f"{PARENTS[arm]}.safetensors"
        if not path.exists():
            raise SystemExit(f"{self.parents} holds no {path.name}; make it with `make parents`")
        return path

    def factor(self, arm: str, trainable: str) -> float:
        """Of the trials, the one with the least CRPS on the validation patients."""
        found = self.tried(arm, trainable)
        return min(found, key=lambda factor: found[factor])

    def tried(self, arm: str, trainable: str) -> dict[float, float]:
        """Factor of each trial → CRPS on the validation patients."""
        found: dict[float, float] = {}
        untried = list(FACTORS)
        while untried:
            for factor in untried:
                found[factor] = self._crps(trial(arm, trainable, factor))
            best = min(found, key=lambda factor: found[factor])
            below = [f for f in FURTHER if f < min(found)][-1:] if best == min(found) else []
            above = [f for f in FURTHER if f > max(found)][:1] if best == max(found) else []
            untried = below + above
        return found

    def _crps(self, run: Run) -> float:
        """On the validation patients; infinite of a trial that diverged."""
        try:
            numbers = self.scored(run, TUNED_ON, "validation").values()
        except InputError as error:
            if not str(error).startswith("Training diverged"):
                raise
            return math.inf
        crps = float(np.mean([each["crps"] for each in numbers]))
        return math.inf if math.isnan(crps) else crps

    def scored(self, run: Run, on: str, part: str = "test") -> dict[str, Numbers]:
        """Patient → numbers of a run, on a target's `test` or `validation` patients."""
        path = self.prior(run)
        return self._kept(f"{path.stem}_{on}_{part}", read_card(path), on, part, scores, lambda: load_prior(path))

    def baselines(self, on: str) -> dict[str, Numbers]:
        """Patient → PSNR of each baseline."""
        photo = load_prior(self.photo)
        return self._kept(f"baselines_{on}", photo.card, on, "test", baseline_scores, lambda: photo)

    def _kept(
        self,
        name: str,
        card: Card,
        on: str,
        part: str,
        measure: Callable[[Prior, Slices, int], Numbers],
        load: Callable[[], Prior],
    ) -> dict[str, Numbers]:
        """Numbers from their file if it is of the same prior, patients, scorer and settings; written in one step."""
        target = self.targets[on]
        files = getattr(target, part)
        of = {
            "prior": [card.tensors_sha256, card.deciding_sha256(target.scale)],
            "patients": {file.stem: hashlib.sha256(file.read_bytes()).hexdigest() for file in files},
            "scorer": hashlib.sha256(SCORER.read_bytes()).hexdigest(),
            "settings": [SIDE, SLICES, SAMPLES, SEED, target.scale],
        }
        path = self.folder / "scores" / f"{name}.json"
        if path.exists():
            there = json.loads(path.read_text(encoding="utf-8"))
            if there["of"] == of:
                return dict(there["numbers"])
        self._want_fresh(path)
        prior = load()
        numbers = {file.stem: measure(prior, slices_of(file, target.scale), target.scale) for file in files}
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".tmp")
        draft.write_text(json.dumps({"of": of, "numbers": numbers}, indent=1), encoding="utf-8")
        os.replace(draft, path)
        return numbers

    def _want_fresh(self, path: Path) -> None:
        if not self.fresh:
            raise NotKeptError(path)

    def chance(self, count: int, on: str = TUNED_ON) -> str:
        """What runs with so many patients differ by: draws of them, or seeds alone where that is the whole pool."""
        pool = self.targets[on].pool or self.targets[TUNED_ON].pool
        return "seeds" if count == sum(map(len, pool.values())) else "draws"

    def values(self, number: str, arm: str, count: int, on: str = TUNED_ON, trainable: str = DEFAULT) -> np.ndarray:
        """(draws, patients) of one number; a single draw where nothing is drawn.

        Args:
            number: of `few_shot_scores.scores`.
            arm: of `PARENTS`.
            count: of patients that were trained on.
            on: whose patients are scored; runs for a target without a pool are those of `TUNED_ON`.
            trainable: of the recipe.
        """
        target = on if self.targets[on].pool else TUNED_ON
        found = []
        for draw in DRAWS if count else DRAWS[:1]:
            numbers = self.scored(Run(arm, count, draw, trainable, target), on).values()
            found.append([each[number] for each in numbers])
        return np.array(found)


def trial(arm: str, trainable: str, factor: float) -> Run:
    """A run that an arm's rates are chosen by."""
    return Run(arm, TUNED_COUNT, TUNED_DRAW, trainable, TUNED_ON, factor)
