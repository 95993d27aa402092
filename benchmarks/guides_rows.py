"""The rows of the study of guides that are of dial 0: what guides are worth, sound, spoilt, wrong and left out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dice import dice
from guides_blocks import blocks, gain_rows, psnr
from guides_cases import NONE, SCALE, Condition, case
from guides_runs import (
    ALL_WRONG,
    EVERYONE,
    FUSIONS,
    SEEDS,
    SOUND,
    SPOILT,
    SPOILT_AS_TRAINED,
    SUBSETS,
    WRONG,
    Run,
    Study,
)
from guides_scores import likeness, localisation
from guides_spoiling import UNSEEN
from paired_t import t_interval
from results import Row
from scans import SUBJECTS
from slice_blocks import Columns, gain, of_blocks
from veriscale.metrics.bootstrap import Interval
from veriscale.runtime.networks import encode
from veriscale.workflows.opening import load_prior
from veriscale.workflows.scans.guided_slices import LEVELS

GAINS = {"ms19": 2.0, "gli00001": 1.0}
"""dB that all guides should bring a test subject."""
STATIC = FUSIONS[1:]
WEIGHTS = {
    "outside": ("its weight inside of the region over that outside", "inside", "outside", "< 0.7", max),
    "sound": ("its weight in the region over that where it is sound", "inside", "sound", "< 0.7", max),
    "auc": ("area under the ROC curve of less weight", "auc", "slices", "> 0.8", min),
}
"""What is asked of weights: in words, which number over which of `localisation`, and which of several is the worst."""
NETWORKS = {"mean": "σ = ∞", "denoiser": f"{LEVELS[0]:g} σ_d"}


def columns(
    study: Study, subject: str, *conditions: Condition, fusion: str = "dynamic", none: bool = False
) -> list[Columns]:
    """A fusion's sums over blocks, a seed each; without any guide it is the same prior's own in each."""
    found = [study.errors(study.guides(run), subject) for run in _seeds(fusion)]
    return [blocks(numbers, *([NONE] * len(conditions) if none else conditions)) for numbers in found]


def clean_rows(study: Study) -> list[Row]:
    """All guides against none, a linear regression, and the parent after as many steps on the target alone."""
    rows = []
    for subject in SUBJECTS:
        first = study.errors(study.guides(Run()), subject)
        told = {"guided": psnr(first, SOUND), "without": psnr(first, NONE)}
        what = f"{subject}, T2 ×{SCALE}, dial 0, all guides"
        all_guides = columns(study, subject, SOUND)
        rows += gain_rows(
            f"guides.clean.{subject}",
            f"{what} over the same prior without",
            f">= {GAINS.get(subject, 0)}",
            all_guides,
            columns(study, subject, SOUND, none=True),
            told,
        )
        linear = study.regression(subject)
        rows += gain_rows(
            f"guides.clean.{subject}.over_regression",
            f"{what} over a local linear regression on guides and unguided result",
            ">= 0.3",
            all_guides,
            [blocks(linear, SOUND)] * len(all_guides),
            {"regression": psnr(linear, SOUND)},
        )
        adapted = study.errors(study.adapted(), subject)
        rows += gain_rows(
            f"guides.clean.{subject}.over_adapted",
            f"{what} over the unguided prior, of its own size, after as many steps on T2 alone",
            None,
            all_guides,
            [blocks(adapted, NONE)] * len(all_guides),
            {"adapted": psnr(adapted, NONE)},
            lowest=False,
        )
    return rows


def static_rows(study: Study) -> list[Row]:
    """Dynamic weights against static ones of equal size: one guide spoilt in a region, as in training or not; sound."""
    kinds = {
        "": ("one guide spoilt in a region, kinds of training", SPOILT_AS_TRAINED, ">= 0.2"),
        ".unseen": (f"one guide spoilt in a region, {' and '.join(UNSEEN)}", SPOILT[len(SPOILT_AS_TRAINED) :], None),
        ".clean": ("all guides sound", [SOUND], ">= -0.1"),
    }
    return [
        row
        for subject in SUBJECTS
        for end, (said, conditions, bar) in kinds.items()
        for row in _over_static(study, f"guides.static.{subject}{end}", said, bar, subject, conditions, end == "")
    ]


def wrong_rows(study: Study) -> list[Row]:
    """One guide of a wrong slice, against static weights; every guide, against none."""
    rows = []
    for subject in SUBJECTS:
        said = "one guide a wrong slice"
        rows += _over_static(study, f"guides.wrong.{subject}", said, ">= 0.3", subject, [WRONG], False)
        rows += gain_rows(
            f"guides.wrong.{subject}.all",
            f"{subject}, every guide a wrong slice, over no guide",
            ">= -0.1",
            columns(study, subject, ALL_WRONG),
            columns(study, subject, ALL_WRONG, none=True),
            {},
            lowest=False,
        )
    return rows


def subset_rows(study: Study) -> list[Row]:
    """What one more clean guide brings, at the least; and that without any the prior is the unguided one."""
    rows = []
    for subject in SUBJECTS:
        of = {condition: columns(study, subject, condition) for condition in SUBSETS}
        steps = {
            f"{'+'.join(small.given) or 'none'} and {(set(large.given) - set(small.given)).pop()}": min(
                (gain([a], [b]) for a, b in zip(of[large], of[small], strict=True)), key=lambda found: found.estimate
            )
            for large in SUBSETS
            for small in SUBSETS
            if len(large.given) == len(small.given) + 1 and set(small.given) < set(large.given)
        }
        least = min(steps, key=lambda step: steps[step].estimate)
        found, told = steps[least], {step: each.estimate for step, each in steps.items()}
        what = f"{subject}: the least that one more clean guide brings any seed, of {len(steps)} ways ({least})"
        interval = found.low, found.high
        rows.append(Row(f"guides.subsets.{subject}", what, found.estimate, "dB", interval, ">= -0.05", told))
        off = unguided_difference(study.guides(Run()), study.parent(), subject)
        said = f"{subject}: largest difference of dial 0 without guides from the unguided prior, bit for bit"
        rows.append(Row(f"guides.subsets.{subject}.none", said, off, "", None, "<= 0"))
    return rows


def unguided_difference(guides: Path, parent: Path, subject: str) -> float:
    """Between guides without any and their parent, at dial 0 of the middle slice."""
    found = case(subject)
    y = found.y(len(found.places) // 2)
    one, other = (encode(load_prior(path), y, SCALE, 0.0, features=True) for path in (guides, parent))
    return max(float((a - b).abs().max()) for a, b in zip(one, other, strict=True))


def localise_rows(study: Study) -> list[Row]:
    """Whether weights know where a guide is spoilt: by the kind of which they know it least."""
    rows = []
    for subject in SUBJECTS:
        found = [study.scored("weights", study.guides(run), subject, localisation, SPOILT) for run in _seeds("dynamic")]
        each = {condition.kind: [blocks(numbers, condition) for numbers in found] for condition in SPOILT}
        for end, (said, above, below, bar, worst) in WEIGHTS.items():
            for network, told in NETWORKS.items():
                by_kind = {
                    kind: _mean_ratio(of, f"{network}_{above}", f"{network}_{below}") for kind, of in each.items()
                }
                least = worst(by_kind, key=lambda kind: by_kind[kind].estimate)
                value = by_kind[least]
                what = f"{subject}, one guide spoilt in a region, {told}: {said}, of all kinds the worst ({least})"
                interval, against = (value.low, value.high), {kind: of.estimate for kind, of in by_kind.items()}
                for where in ("inside", "outside"):
                    amount = _mean_ratio(each[least], f"{network}_amount_{where}", f"{network}_slices").estimate
                    against[f"amount {where}"] = amount
                id = f"guides.localise.{subject}.{end}{'' if network == 'mean' else '.denoiser'}"
                rows.append(Row(id, what, value.estimate, "", interval, bar, against))
    return rows


def generalise_rows(study: Study) -> list[Row]:
    """How much more guides bring those who were trained on than who was left out, by fusion, subject by subject."""
    gaps: dict[str, np.ndarray] = {}
    rows = []
    for fusion in FUSIONS:
        seen, unseen = [], []
        for left_out in EVERYONE:
            prior = study.guides(Run(fusion, left_out=left_out))
            gains = {s: _gain_of(study, prior, s) for s in EVERYONE}
            unseen.append(gains.pop(left_out))
            seen.append(float(np.mean(list(gains.values()))))
        gaps[fusion] = np.array(seen) - np.array(unseen)
        rows.append(
            Row(
                f"guides.generalise.{fusion}",
                f"{fusion} weights: gain of sound guides on {len(EVERYONE) - 1} training subjects less that on the one "
                "left out, mean over who is",
                float(gaps[fusion].mean()),
                "dB",
                t_interval(gaps[fusion]),
                None,
                {"gain on training subjects": float(np.mean(seen)), "on left-out ones": float(np.mean(unseen))},
            )
        )
    for fusion in STATIC:
        less = gaps["dynamic"] - gaps[fusion]
        what = f"the same gap, dynamic less {fusion}: below 0 dynamic weights generalise better"
        rows.append(Row(f"guides.generalise.dynamic_less_{fusion}", what, float(less.mean()), "dB", t_interval(less)))
    return rows


def semantic_rows(study: Study) -> list[Row]:
    """What stands where: the discrepancy `semantic` and Dice of three classes, guided beside unguided beside static."""
    rows = []
    for subject in SUBJECTS:
        arms = {"unguided": ("dynamic", NONE), **{fusion: (fusion, SOUND) for fusion in FUSIONS}}
        of = {
            name: blocks(
                study.scored("likeness", study.guides(Run(fusion)), subject, likeness, [NONE, SOUND]), condition
            )
            for name, (fusion, condition) in arms.items()
        }
        for number, what, statistic in (
            ("semantic", "mean semantic discrepancy", _semantic),
            ("dice", "mean Dice of three classes by thresholds", _dice),
        ):
            each = {name: statistic(columns) for name, columns in of.items()}
            value = each.pop("dynamic")
            told = {name: found.estimate for name, found in each.items()}
            said = f"{subject}, dial 0, all guides, dynamic weights: {what}"
            rows.append(
                Row(
                    f"guides.semantic.{subject}.{number}", said, value.estimate, "", (value.low, value.high), None, told
                )
            )
    return rows


def _seeds(fusion: str) -> list[Run]:
    return [Run(fusion, seed=seed) for seed in SEEDS]


def _over_static(
    study: Study, id: str, what: str, bar: str | None, subject: str, conditions: Sequence[Condition], lowest: bool
) -> list[Row]:
    """Over that static fusion over which dynamic weights gain the least; all stand beside it."""
    ours = columns(study, subject, *conditions)
    theirs = {fusion: columns(study, subject, *conditions, fusion=fusion) for fusion in STATIC}
    told = {f"over {fusion}": gain(ours, of).estimate for fusion, of in theirs.items()}
    best = min(STATIC, key=lambda fusion: told[f"over {fusion}"])
    said = f"{subject}, {what}: dynamic weights over the best static ones ({best})"
    rows = gain_rows(id, said, bar, ours, theirs[best], told, lowest=False)
    if lowest:
        each = {fusion: [gain([a], [b]) for a, b in zip(ours, of, strict=True)] for fusion, of in theirs.items()}
        lows = {f"over {fusion}": min(one.low for one in found) for fusion, found in each.items()}
        said = f"{subject}, {what}: lowest end of the interval over any static weights of any seed"
        rows.append(Row(f"{id}.lowest", said, min(lows.values()), "dB", None, "> 0", lows))
    if conditions[0].kind and not conditions[0].whole:
        inside = {fusion: gain(ours, of, "error_inside") for fusion, of in theirs.items()}
        told = {f"over {fusion}": found.estimate for fusion, found in inside.items()}
        best = min(STATIC, key=lambda fusion: told[f"over {fusion}"])
        said = f"{subject}, {what}, in the region alone: dynamic weights over the best static ones ({best})"
        found = inside[best]
        rows.append(Row(f"{id}.inside", said, found.estimate, "dB", (found.low, found.high), bar, told))
    return rows


def _gain_of(study: Study, prior: Path, subject: str) -> float:
    numbers = study.errors(prior, subject, [NONE, SOUND])
    return psnr(numbers, SOUND) - psnr(numbers, NONE)


def _mean_ratio(each: Sequence[Columns], above: str, below: str) -> Interval:
    """The mean over seeds of a number's sum over another's."""

    def ratio(*sums: Any) -> Any:
        half = len(sums) // 2
        return sum(a / b for a, b in zip(sums[:half], sums[half:], strict=True)) / half

    return of_blocks([of[name] for name in (above, below) for of in each], ratio)


def _semantic(columns: Columns) -> Interval:
    return of_blocks([columns["semantic"], columns["places"]], lambda total, n: total / n)


def _dice(columns: Columns) -> Interval:
    count = sum(name.startswith("same_") for name in columns)
    same, sizes = ([columns[f"{end}_{k}"] for k in range(count)] for end in ("same", "size"))
    return of_blocks([*same, *sizes], lambda *sums: dice(sums[:count], sums[count:]))
