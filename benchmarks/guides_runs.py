"""The runs of the study of guides: trained and scored once, and kept, so that what was cut off goes on."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import scans
from cache import measured
from guide_shift import TARGET, TRAINING
from guides_cases import APART, EVERY, NONE, SCALE, Case, Condition, case, guides_of
from guides_regression import REACH, fitted, regression_errors
from guides_scores import SAMPLES, Numbers, mean_errors
from guides_spoiling import KINDS, SIDE, TRAINED
from results import ROOT
from veriscale.diffusion.checkpoint import read_card
from veriscale.diffusion.library import STATE
from veriscale.diffusion.prior import TrainedPrior
from veriscale.guides.arguments import Fusion, Mix, Tau
from veriscale.guides.guide_file import holds_guides, read_guide_card
from veriscale.guides.guided_prior import GuidedPrior
from veriscale.stages.rates import default_rate
from veriscale.stages.recipe_file import read_recipe
from veriscale.stages.training import train
from veriscale.workflows.opening import load_prior

VALIDATION = "tcgadu7294"
EVERYONE = (*TRAINING, VALIDATION)
"""Who may be trained on, and is left out by turns; those of `scans.SUBJECTS` choose nothing."""
FUSIONS: tuple[Fusion, ...] = ("dynamic", "mean", "concat", "learned")
WIDTH = {"dynamic": 32, "mean": 40, "concat": 40, "learned": 40}
"""Of experts: static fusion has no gate, and at this width no fewer parameters."""
SEEDS = (0, 1, 2)
RATE, FACTORS = 1.6e-3, (1.0, 0.5)
"""Of Muon and of Adam beside it, and its shares that are the trials of every fusion."""
FOLD_STEPS = 1000
"""Of guides that leave a subject out, half of those of others."""
PARENT, SOURCE = "study-domain", "study-source"
RECIPES = ROOT / "recipes" / "study"

CODE = 1
"""Of the code that trains: another number trains all runs again, which is due when they would come out otherwise."""
WEIGHED, THICK = 3, 5
"""The same of runs of dynamic weights, and of those on slices of all planes."""

SUBSETS = [Condition(tuple(g for k, g in enumerate(guides_of(TARGET)) if n >> k & 1)) for n in range(8)]
SOUND = SUBSETS[-1]
SPOILT = [replace(SOUND, kind=kind) for kind in KINDS]
SPOILT_AS_TRAINED = SPOILT[: len(TRAINED)]
WRONG = replace(SOUND, kind="swap", whole=True)
ALL_WRONG = replace(WRONG, every=True)
CONDITIONS = [*SUBSETS, *SPOILT, WRONG, ALL_WRONG]


@dataclass(frozen=True)
class Run:
    """Guides of the study.

    Attributes:
        fusion, mix, tau: of `GuideArguments`.
        seed: of the recipe.
        target: whom they guide.
        planes: of the training slices; with all of them they learn to correct estimates from thick slices.
        left_out: a subject that neither they nor their parent have seen; else they are trained on `TRAINING`.
        factor: of `RATE`; None: that of the fusion's best trial.
    """

    fusion: Fusion = "dynamic"
    mix: Mix = "features"
    tau: Tau = "constant"
    seed: int = 0
    target: str = TARGET
    planes: str = "axial"
    left_out: str | None = None
    factor: float | None = None

    @property
    def name(self) -> str:
        """In files."""
        told = [self.fusion, self.mix, self.tau, f"seed{self.seed}", self.target]
        more = [] if self.planes == "axial" else [self.planes]
        return "_".join([*told, *more, *([] if self.left_out is None else [f"without-{self.left_out}"])])


@dataclass(frozen=True, eq=False)
class Study:
    """Runs with a place to lie in.

    Attributes:
        folder: of runs; `priors` in it and `parents` have to be in VERISCALE_PRIORS, where guides find their parent.
        parents: folder of the priors that runs begin with.
        heads: by `train` and `validation`, files of other scans that priors of folds are trained on and measured with.
        recipes: folder of guided.toml and unguided.toml.
        tell: told of every run before it is trained.
        factors: of `RATE`, by fusion, as far as they were asked for.
    """

    folder: Path
    parents: Path
    heads: Mapping[str, Sequence[Path]]
    recipes: Path = RECIPES
    tell: Callable[[str], None] = lambda line: None
    factors: dict[Fusion, float] = field(default_factory=dict)

    def guides(self, run: Run) -> Path:
        """The file of a run, trained where it is not there, and taken up where it was left.

        Raises:
            SystemExit: its parent is not there.
        """
        parent = self.parent() if run.left_out is None else self.base(run.left_out)
        factor = run.factor
        if factor is None:
            if run.fusion not in self.factors:
                self.factors[run.fusion] = self.factor(run.fusion)
            factor = self.factors[run.fusion]
        code = THICK if run.planes == "all" else WEIGHED if run.fusion == "dynamic" else None
        return self._trained("guided", f"{run.name}_{factor:g}", parent, settings(run, factor), code)

    def parent(self, name: str = PARENT) -> Path:
        """A parent of the study.

        Raises:
            SystemExit: it is not there.
        """
        path = self.parents / f"{name}.safetensors"
        if not path.exists():
            raise SystemExit(f"{self.parents} holds no {path.name}; make it with `make parents`")
        return path

    def base(self, left_out: str) -> Path:
        """The unguided prior of a fold, which has not seen a subject."""
        heads = {part: [str(file) for file in files] for part, files in self.heads.items()}
        seen = heads["train"] + _folders(s for s in EVERYONE if s != left_out)
        said = [f"stage.domain.data={json.dumps(seen)}", f"stage.domain.validation={json.dumps(heads['validation'])}"]
        return self._trained("unguided", f"without-{left_out}", self.parent(SOURCE), said)

    def adapted(self) -> Path:
        """The parent after as many steps on the target of the training subjects alone as guides are trained for.

        Of the rates that guides are tried with, by that which errs less at dial 0 on the validation subject.
        """
        tried = [self._adapted(factor) for factor in FACTORS]
        return min(tried, key=lambda path: sum(self.errors(path, VALIDATION)[NONE.name]["error"]))

    def _adapted(self, factor: float) -> Path:
        phase = read_recipe(self.recipes / "guided.toml").stage[0].guides
        said = [f"stage.domain.data={json.dumps([str(scans.file(s, TARGET)) for s in TRAINING])}"]
        said += [f"stage.domain.validation={json.dumps([str(scans.file(VALIDATION, TARGET))])}"]
        for network in ("encoder", "denoiser"):
            said += [f"stage.domain.{network}.{key}={getattr(phase, key)}" for key in ("steps", "batch")]
            said += [f"stage.domain.{network}.lr={default_rate('muon', 'all') * factor!r}"]
        return self._trained("unguided", f"adapted_{factor:g}", self.parent(), said)

    def _trained(self, recipe: str, name: str, parent: Path, said: Sequence[str], code: int | None = None) -> Path:
        file = self.recipes / f"{recipe}.toml"
        told = file.read_text(encoding="utf-8"), read_card(parent).tensors_sha256
        made_of = [CODE if code is None else code, *told, *said]
        digest = hashlib.sha256(json.dumps(made_of).encode()).hexdigest()[:8]
        path = self.folder / "priors" / f"{name}_{digest}.safetensors"
        if not path.exists():
            self.tell(f"training {name}")
            stage = read_recipe(file).stage[0].name
            train(file, path, resume=True, overrides=[*said, f"stage.{stage}.init_from={json.dumps(str(parent))}"])
        path.with_suffix(STATE).unlink(missing_ok=True)
        return path

    def factor(self, fusion: Fusion) -> float:
        """Of the trials, the one that errs least at dial 0 on the validation subject, with sound and spoilt guides."""
        found: dict[float, float] = {}
        for factor, trial in zip(FACTORS, trials(fusion), strict=True):
            numbers = self.errors(self.guides(trial), VALIDATION)
            found[factor] = sum(sum(numbers[c.name]["error"]) for c in (SOUND, *SPOILT_AS_TRAINED))
        return min(found, key=lambda factor: found[factor])

    def errors(
        self, prior: Path, subject: str, conditions: Sequence[Condition] = CONDITIONS, scale: int = SCALE
    ) -> Numbers:
        """`mean_errors` of a prior, with every condition of the study; of one without guides with none."""
        own = conditions if holds_guides(prior) else [NONE]
        return self.scored("errors", prior, subject, mean_errors, own, scale=scale)

    def regression(self, subject: str) -> Numbers:
        """`regression_errors` of the parent's results, fitted on the training subjects."""
        parent = self.parent()
        of = {"prior": hash_of(parent), "reach": REACH, "every": EVERY}

        def fit(item: str) -> list[float]:
            return fitted(_plain(parent), (case(s) for s in TRAINING))

        [coefficients] = measured("guides_fit", of, ["regression"], fit, 60.0)
        asked = of | {"coefficients": coefficients}
        [found] = measured(
            "guides_regression",
            asked,
            [subject],
            lambda s: regression_errors(_plain(parent), case(s), coefficients),
            20.0,
        )
        return dict(found)

    def scored(
        self,
        what: str,
        prior: Path,
        subject: str,
        measure: Callable[[Any, Case, Sequence[Condition]], Numbers],
        conditions: Sequence[Condition],
        every: int = EVERY,
        target: str = TARGET,
        scale: int = SCALE,
    ) -> Numbers:
        """What a prior makes of a subject, from the cache where it is there."""
        settings: Mapping[str, Any] = {
            "prior": hash_of(prior),
            "conditions": [condition.name for condition in conditions],
            "of": [scale, every, APART, SIDE, SAMPLES, target],
        }

        def work(item: str) -> Numbers:
            return measure(load_prior(prior), case(subject, every, target, scale), conditions)

        [found] = measured(f"guides_{what}", dict(settings), [subject], work, 60.0)
        return dict(found)


def trials(fusion: Fusion) -> list[Run]:
    """The runs that a fusion's rate is chosen by."""
    return [Run(fusion, factor=factor) for factor in FACTORS]


def settings(run: Run, factor: float) -> list[str]:
    """Of the recipe for a run, but for its parent."""
    seen = TRAINING if run.left_out is None else [s for s in EVERYONE if s != run.left_out]
    return [
        f"seed={run.seed}",
        f"guides.fusion={run.fusion}",
        f"guides.mix={run.mix}",
        f"guides.tau={run.tau}",
        f"guides.width={WIDTH[run.fusion]}",
        f"guides.target={run.target}",
        f"guides.modalities={json.dumps(guides_of(run.target))}",
        f"stage.guided.data={json.dumps(_folders(seen))}",
        f"stage.guided.validation={json.dumps(_folders([run.left_out or VALIDATION]))}",
        f"stage.guided.guides.lr={RATE * factor!r}",
        f"stage.guided.guides.adam_lr={RATE * factor!r}",
        *([] if run.planes == "axial" else [f"stage.guided.planes={run.planes}"]),
        *([] if run.left_out is None else [f"stage.guided.guides.steps={FOLD_STEPS}"]),
    ]


def _folders(subjects: Any) -> list[str]:
    return [str(scans.DATA / subject) for subject in subjects]


def hash_of(prior: Path) -> list[str]:
    """What makes a prior, or guides, what they are."""
    if holds_guides(prior):
        card = read_guide_card(prior)
        return [card.tensors_sha256, card.parent_sha256]
    return [read_card(prior).tensors_sha256]


def _plain(prior: Path) -> TrainedPrior:
    found = load_prior(prior)
    if not isinstance(found, TrainedPrior) or isinstance(found, GuidedPrior):
        raise TypeError(f"{prior} is no prior of the study")
    return found
