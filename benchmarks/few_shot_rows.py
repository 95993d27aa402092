"""The rows of the study of few subjects."""

from collections.abc import Sequence

import numpy as np

from few_shot_runs import DEFAULT, TUNED_COUNT, TUNED_ON, Study
from paired_t import compared, t_interval
from results import Row

TRAINABLE = ("all", "decoder", "norm+bias", "lora:8")
SAID = {
    "psnr": ("PSNR of the mean of draws", "dB"),
    "psnr_dial0": ("PSNR at dial 0", "dB"),
    "crps": ("fair CRPS (below 0 the former is better)", ""),
    "spread": ("how far the log of spread–skill is from 0 (below 0 the former is better)", ""),
    "coverage": ("distance of 80 % coverage from 0.8 (below 0 the former is better)", ""),
}


def difference(
    key: str, what: str, number: str, former: str, a: np.ndarray, latter: str, b: np.ndarray, chance: str = "draws"
) -> Row:
    """How much more of a number the former has, with the interval over patients; that over draws stands beside it.

    Where the runs differ by their seeds alone, their interval is called that, and nothing is claimed by it.
    """
    found, (said, unit) = compared(a, b), SAID[number]
    against = {former: float(a.mean()), latter: float(b.mean()), "wins": wins(number, a, b)}
    if found.draws is not None and found.both is not None:
        low, high = found.draws
        against |= {f"over {chance} from": low, f"over {chance} to": high}
        against |= {"over both from": found.both[0], "over both to": found.both[1]}
        against |= {"claim": float(found.claimed)} if chance == "draws" else {}
    return Row(f"{key}.{number}", f"{what}: {said}", found.mean, unit, found.patients, against=against)


def wins(number: str, a: np.ndarray, b: np.ndarray) -> float:
    """Share of the patients in whom a is better, draws averaged."""
    gain = (a - b).mean(axis=0) * (1 if number.startswith("psnr") else -1)
    return float((gain > 0).mean())


def comparison_rows(study: Study, on: str, counts: Sequence[int]) -> list[Row]:
    """Stages against direct fine-tuning, on a target's test patients."""
    rows = []
    for count in counts:
        rows += pair_rows(study, on, f"k{count}", f"MSP-{count} less DFT-{count}", ("msp", count), ("dft", count))
    return rows


def pair_rows(
    study: Study,
    on: str,
    name: str,
    what: str,
    former: tuple[str, int] | tuple[str, int, str],
    latter: tuple[str, int] | tuple[str, int, str],
) -> list[Row]:
    """Two arms: distortion and score, and how true their uncertainty is.

    Args:
        study: with their runs.
        on: whose test patients.
        name: in the ids.
        what: in words.
        former, latter: arm, count of patients, and what was trained where that is not the default.
    """
    found = {
        n: [study.values(n, *arm[:2], on, *arm[2:]) for arm in (former, latter)]
        for n in ("psnr", "crps", "spread", "coverage")
    }
    what = f"{on} ×{study.targets[on].scale}, {what}"

    def row(family: str, number: str) -> Row:
        a, b = found[number]
        key = f"fewshot.{family}.{on}.{name}"
        chance = study.chance(former[1], on)
        return difference(key, what, number, _called(*former[:2]), a, _called(*latter[:2]), b, chance)

    won = {number: wins(number, *found[number]) for number in ("psnr", "crps")}
    told = f"{what}: share of patients in whom the former is better, draws averaged, PSNR of the mean of draws"
    return [
        *(row("msp_dft", number) for number in ("psnr", "crps")),
        Row(f"fewshot.msp_dft.{on}.{name}.wins", told, won["psnr"], against={"CRPS": won["crps"]}),
        *(row("uncertainty", number) for number in ("spread", "coverage")),
    ]


def zero_rows(study: Study, on: str, arm: str, counts: Sequence[int]) -> list[Row]:
    """What the target stage is worth: an arm less its parent as it is."""
    rows = []
    for count in counts:
        for number in ("psnr", "crps"):
            a, b = (study.values(number, arm, n, on) for n in (count, 0))
            what = f"{on} ×{study.targets[on].scale}, {_called(arm, count)} less its unadapted parent"
            key = f"fewshot.zero.{on}.{arm}_k{count}"
            chance = study.chance(count, on)
            rows.append(difference(key, what, number, _called(arm, count), a, "parent", b, chance))
    return rows


def baseline_rows(study: Study, on: str) -> list[Row]:
    """Stages at dial 0 against what needs no patients."""
    a, rows = study.values("psnr_dial0", "msp", TUNED_COUNT, on), []
    found = list(study.baselines(on).values())
    for name in found[0]:
        b = np.array([[each[name] for each in found]])
        what = f"{on} ×{study.targets[on].scale}, {_called('msp', TUNED_COUNT)} less {name}"
        key = f"fewshot.baselines.{on}.{name.replace(' ', '_')}"
        rows.append(difference(key, what, "psnr_dial0", _called("msp", TUNED_COUNT), a, name, b))
    return rows


def scratch_rows(study: Study, counts: Sequence[int]) -> list[Row]:
    """Stages against as many steps from nothing, whose dial 0 is a plain network for super-resolution."""
    rows = []
    for count in counts:
        for number in ("psnr_dial0", "crps"):
            a, b = (study.values(number, arm, count) for arm in ("msp", "scratch"))
            what = f"{TUNED_ON} ×{study.targets[TUNED_ON].scale}, MSP-{count} less the same from scratch"
            key = f"fewshot.baselines.{TUNED_ON}.scratch_k{count}"
            chance = study.chance(count)
            rows.append(difference(key, what, number, _called("msp", count), a, _called("scratch", count), b, chance))
    return rows


def trainable_rows(study: Study) -> list[Row]:
    """What a stage trains, against the default."""
    found = {
        mode: {n: study.values(n, "msp", TUNED_COUNT, trainable=mode) for n in ("psnr", "crps")} for mode in TRAINABLE
    }
    about = f"{TUNED_ON} ×{study.targets[TUNED_ON].scale}, MSP-{TUNED_COUNT}"
    rows = [
        difference(
            f"fewshot.trainable.{mode.replace('+', '_').replace(':', '_')}",
            f"{about}, trainable = '{mode}' less '{DEFAULT}'",
            number,
            mode,
            found[mode][number],
            DEFAULT,
            found[DEFAULT][number],
        )
        for mode in TRAINABLE
        if mode != DEFAULT
        for number in ("psnr", "crps")
    ]
    means = {mode: float(numbers["psnr"].mean()) for mode, numbers in found.items()}
    best, worst = (f(means, key=lambda mode: means[mode]) for f in (max, min))
    low, high = t_interval((found[DEFAULT]["psnr"] - found[best]["psnr"]).mean(axis=0))
    what = f"{about}: upper end, over patients, of the PSNR of the mean of draws of '{DEFAULT}' less that of the best"
    return [
        *rows,
        Row("fewshot.trainable.default", what, high, "dB", (low, high), ">= 0", means),
        Row(
            "fewshot.trainable.spread",
            f"{about}: PSNR of the mean of draws, '{best}' less '{worst}'",
            means[best] - means[worst],
            "dB",
            against=means,
        ),
    ]


def rate_row(study: Study, arm: str, trainable: str) -> Row:
    """Which of the trials an arm's rates are, and whether a wider grid might have found better ones."""
    found, chosen = study.tried(arm, trainable), study.factor(arm, trainable)
    edge = ", at an edge of what was tried: the arm may not be tuned" if chosen in (min(found), max(found)) else ""
    key = f"fewshot.rates.{arm}_{trainable.replace('+', '_').replace(':', '_')}"
    against = {f"CRPS at {factor:g}": crps for factor, crps in found.items()}
    return Row(key, f"factor of the usual rates, {arm}, trainable = '{trainable}'{edge}", chosen, against=against)


def _called(arm: str, count: int) -> str:
    return f"{arm.upper() if arm in ('msp', 'dft') else arm}-{count}"
