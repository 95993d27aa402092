"""The rows of the study of guides that are of noise levels and draws: the bound, the temperature, what draws say."""

from dataclasses import replace
from typing import Any, get_args

import numpy as np

from guide_shift import GUIDES
from guides_blocks import blocks
from guides_cases import DRAWN, NONE, Condition
from guides_rows import STATIC
from guides_runs import FUSIONS, SOUND, SPOILT_AS_TRAINED, VALIDATION, Run, Study
from guides_scores import SAMPLES, Numbers, bound_sums, draw_errors
from results import Row
from scans import SUBJECTS
from slice_blocks import of_blocks
from veriscale.guides.arguments import Tau
from veriscale.guides.bound import BlockSums, Bound, bound
from veriscale.metrics.bootstrap import Interval
from veriscale.workflows.scans.bound_table import BLOCK
from veriscale.workflows.scans.guided_slices import LEVELS

TAUS: tuple[Tau, ...] = get_args(Tau)
DEFAULT: Tau = "constant"
RUNS = {
    **{fusion: Run(fusion) for fusion in FUSIONS},
    "predictions": Run(mix="predictions"),
    **{f"τ {tau}": Run(tau=tau) for tau in TAUS if tau != DEFAULT},
}
"""Of the bound, every ablation: the study's, static fusion, the mix that the theorem is about, other temperatures."""
CRPS_BAR = {"ms19": "<= -0.1"}
SPOILT = SPOILT_AS_TRAINED[2]  # a wrong slice, in a region
ASKED = [SOUND, SPOILT]
EMPTIED = replace(SPOILT, every=True)
"""Every guide is of a wrong slice in the region: there they cannot inform."""
WHERE = ("the mean, σ = ∞", *(f"{level:g} σ_d" for level in LEVELS))


def bound_rows(study: Study) -> list[Row]:
    """The terms by noise level, sound and spoilt; negative controls; the mix of predictions beside that of features."""
    rows = []
    for subject in SUBJECTS:
        numbers = {name: _terms(study, run, subject) for name, run in RUNS.items()}
        for condition, said in ((SOUND, "sound"), (SPOILT, "spoilt")):
            share = {}
            for k, where in enumerate(WHERE):
                terms = {name: bound(_block_sums(of, condition, k)) for name, of in numbers.items()}
                rows += _rows_at(f"{subject}.{said}.{k}", f"{subject}, guides {said}, {where}", terms)
                least = min(terms[name].fused.estimate for name in terms if name in STATIC)
                share[where] = terms["dynamic"].fused.estimate / least - 1
            what = (
                f"{subject}, guides {said}: E Σ w ℓ of dynamic over the least of static weights, less 1, at the worst "
                "noise level"
            )
            id = f"guides.bound.{subject}.{said}.below_static"
            rows.append(Row(id, what, max(share.values()), "", None, "< 0", share))
        every = [of[f"{c.name} @ {k}"] for of in numbers.values() for c in ASKED for k in range(len(WHERE))]
        off = max(max(of["identity"]) for of in every)
        what = f"{subject}: largest error of the ambiguity's identity in a slice, a place, float64"
        rows.append(Row(f"guides.bound.{subject}.identity", what, off, "", None, "<= 1e-10"))
        true, shuffled = (bound(_block_sums(numbers["dynamic"], SOUND, 0, of)) for of in ("product", "shuffled"))
        what = f"{subject}, guides sound, σ = ∞: Σ Cov(w, ℓ) with weights of other places of the slice"
        told = {"with their own": true.covariance.estimate}
        most = 0.1 * abs(true.covariance.estimate)
        bar = f"{-most:.3g}..{most:.3g}"
        rows.append(_row(f"guides.bound.{subject}.shuffled", what, shuffled.covariance, told, bar))
    return rows


def tau_rows(study: Study) -> list[Row]:
    """Each temperature against the default, by the denoiser's loss at each noise level and CRPS at dial 1.

    On the validation subject, which may choose, and on test subjects, who may not.
    """
    rows = []
    for subject in (VALIDATION, *SUBJECTS):
        losses = {tau: _terms(study, Run(tau=tau), subject) for tau in TAUS}
        draws = {tau: _draws(study, Run(tau=tau), subject, [NONE, SOUND]) for tau in TAUS}
        for tau in TAUS:
            if tau == DEFAULT:
                continue
            for k, where in enumerate(WHERE[1:], start=1):
                both = (_block_sums(losses[name], SOUND, k) for name in (tau, DEFAULT))
                risks = [np.array([float(sums.risk) for sums in of]) for of in both]
                what = f"{subject}, {where}, one seed each: loss of the denoiser, τ {tau} over {DEFAULT}, less 1"
                rows.append(_relative(f"guides.tau.{subject}.{tau}.loss_{k}", what, *risks))
            crps = [blocks(of, SOUND)["crps"] for of in (draws[tau], draws[DEFAULT])]
            what = f"{subject}, dial 1, {SAMPLES} draws, one seed each: fair CRPS, τ {tau} over {DEFAULT}, less 1"
            rows.append(_relative(f"guides.tau.{subject}.{tau}.crps", what, *crps))
        if subject == VALIDATION:
            means = {tau: float(blocks(draws[tau], SOUND)["crps"].sum()) for tau in TAUS}
            best = min(means, key=lambda tau: means[tau])
            crps = [blocks(draws[tau], SOUND)["crps"] for tau in (DEFAULT, best)]
            what = f"{subject}, one seed each: CRPS at dial 1, τ {DEFAULT} over the best ({best}), less 1"
            shares = {tau: value / means[DEFAULT] for tau, value in means.items()}
            found = of_blocks(crps, _less_one)
            rows.append(_row("guides.tau.default", what, found, shares))
            what = f"{what}: lower end of the interval, which knows slices and no training noise"
            rows.append(Row("guides.tau.default.low", what, found.low, "", None, "<= 0"))
    return rows


def draw_rows(study: Study) -> list[Row]:
    """CRPS and spread–skill of draws with guides, and where their spread falls."""
    rows = []
    for subject in SUBJECTS:
        numbers = _draws(study, Run(), subject, [NONE, SOUND, SPOILT, EMPTIED])
        none, sound, one, emptied = (blocks(numbers, condition) for condition in (NONE, SOUND, SPOILT, EMPTIED))
        what = f"{subject}, dial 1, {SAMPLES} draws"
        said = f"{what}: fair CRPS with all guides over none, less 1"
        rows.append(_relative(f"guides.draws.{subject}.crps", said, sound["crps"], none["crps"], CRPS_BAR.get(subject)))
        skills = [of_blocks([of["variance"], of["squared_error"]], _skill) for of in (sound, none)]
        interval = skills[0].low, skills[0].high
        told = {"without guides": skills[1].estimate}
        said = f"{what}: spread–skill with all guides"
        rows.append(
            Row(f"guides.draws.{subject}.spread_skill", said, skills[0].estimate, "", interval, "0.8..1.25", told)
        )
        for end, of, said, bar in (
            (
                "inform",
                sound,
                "std with all guides, sound ones, over none, less 1, in a region of the foreground",
                "< 0",
            ),
            (
                "one_spoilt",
                one,
                "std where one guide of three is of a wrong slice, in a region of the foreground, over none, less 1",
                None,
            ),
            (
                "spoilt",
                emptied,
                "std where all guides are of a wrong slice, in a region of the foreground, over none, less 1",
                "-0.1..0.1",
            ),
        ):
            rows.append(
                _relative(f"guides.draws.{subject}.{end}", f"{what}: {said}", of["std_inside"], none["std_inside"], bar)
            )
    return rows


def _rows_at(id: str, what: str, terms: dict[str, Bound]) -> list[Row]:
    """Of dynamic weights, beside those of every ablation; weights and losses of all alike."""
    ours, rows = terms["dynamic"], []
    for term, said in (("fused", "E Σ w ℓ"), ("covariance", "Σ Cov(w, ℓ)"), ("ambiguity", "E Σ w (f − f̄)²")):
        others = {name: getattr(of, term).estimate for name, of in terms.items() if name != "dynamic"}
        rows.append(_row(f"guides.bound.{id}.{term}", f"{what}: {said}", getattr(ours, term), others))
    each = {
        f"{name}, {said} {guide}": found.estimate
        for name, of in terms.items()
        for said, column in (("E[w]", of.weight), ("E[ℓ]", of.loss))
        for guide, found in zip(GUIDES, column, strict=True)
    }
    value = ours.fused.estimate - ours.covariance.estimate
    rows.append(Row(f"guides.bound.{id}.means", f"{what}: Σ E[w] E[ℓ]", value, "", None, None, each))
    rows.append(
        _row(
            f"guides.bound.{id}.gap",
            f"{what}: R(D) − R(f̄), mix of features",
            ours.gap,
            {"mix of predictions": terms["predictions"].gap.estimate, "R(f̄)": ours.mean_risk.estimate},
        )
    )
    return rows


def _terms(study: Study, run: Run, subject: str) -> Numbers:
    return study.scored("bound", study.guides(run), subject, bound_sums, ASKED)


def _draws(study: Study, run: Run, subject: str, conditions: list[Condition]) -> Numbers:
    return study.scored("draws", study.guides(run), subject, draw_errors, conditions, DRAWN)


def _block_sums(numbers: Numbers, condition: Condition, k: int, product: str = "product") -> list[BlockSums]:
    """Of the k-th noise level, of every block with a place in it; `product` is where Σ w ℓ is taken from."""
    of = numbers[f"{condition.name} @ {k}"] | {"product": numbers[f"{condition.name} @ {k}"][product]}
    found: dict[int, list[BlockSums]] = {}
    for place, *each in zip(numbers["places"], *(of[name] for name in BlockSums._fields), strict=True):
        sums = BlockSums(*map(np.asarray, each))
        if sums.places:
            found.setdefault(place // BLOCK, []).append(sums)
    return [BlockSums(*(sum(column) for column in zip(*each, strict=True))) for each in found.values()]


def _row(id: str, what: str, found: Interval, told: dict[str, float], bar: str | None = None) -> Row:
    return Row(id, what, found.estimate, "", (found.low, found.high), bar, told)


def _relative(id: str, what: str, a: np.ndarray, b: np.ndarray, bar: str | None = None) -> Row:
    found = of_blocks([a, b], _less_one)
    return Row(id, what, found.estimate, "", (found.low, found.high), bar)


def _less_one(a: Any, b: Any) -> Any:
    return a / b - 1


def _skill(variance: Any, squared_error: Any) -> Any:
    return np.sqrt((SAMPLES + 1) / SAMPLES * variance / squared_error)
