"""The rows about the prior `cardiac`, of what benchmarks/cardiac.py has measured of each patient."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from few_shot_scores import SAMPLES
from paired_t import t_interval
from results import Row
from veriscale.metrics.coverage import coverage_sums
from veriscale.metrics.draw_scores import LEVELS, interval_kind
from veriscale.metrics.uncertainty import SpreadSums, spread_skill

PRIOR = "cardiac"
RAW, TEMPERED = "raw", "tempered"
COVERED = 0.8
OVER = {"bicubic": ">= 3.0", "mri": ">= 0.3", "photo": None}  # dB
BESIDE = ("cubic spline", "lanczos")
SKILL = {RAW: ("", "0.8..1.25"), TEMPERED: (", after the temperature", "0.85..1.15")}
COVERAGE = "72..88"  # %, of draws as they are
JUDGED = "acdc"
"""Whose patients the bars are about."""

Patients = Sequence[dict[str, Any]]


def psnr_rows(patients: Patients, on: str) -> list[Row]:
    """By how much the prior is better at dial 0."""
    psnr = {name: np.array([each["psnr"][name] for each in patients]) for name in patients[0]["psnr"]}
    rows = []
    for other, bar in OVER.items():
        gain = psnr[PRIOR] - psnr[other]
        against = {PRIOR: _mean(psnr[PRIOR]), other: _mean(psnr[other])} | _range(gain)
        if other == "bicubic":
            against |= {f"over {name}": _mean(psnr[PRIOR] - psnr[name]) for name in BESIDE}
        key, what = f"cardiac.psnr.{_of(on)}over_{other}", f"{_said(on)}: PSNR at dial 0, prior {PRIOR} over {other}"
        rows.append(_row(key, what, gain, "dB", bar if on == JUDGED else None, against))
        if on == JUDGED and bar:
            low, _ = t_interval(gain)
            rows.append(Row(f"{key}.lowest", f"{what}: lower end over patients", low, "dB", None, "> 0"))
    return rows


def spread_rows(patients: Patients, on: str) -> list[Row]:
    """Whether draws differ as much as they err, as they are and after the temperature."""
    rows = []
    for kind, (after, bar) in SKILL.items():
        of = [each["spread"][kind] for each in patients]
        sums = {name: sum(each[name] for each in of) for name in ("variance", "squared error", "covered", "voxels")}
        ratio = np.array([each["spread_skill"] for each in of])
        low, high = np.exp(t_interval(np.log(ratio)))
        pooled = spread_skill(SpreadSums(SAMPLES, sums["variance"], sums["squared error"]))
        rows.append(
            Row(
                f"cardiac.spread.{_of(on)}{kind}",
                f"{_said(on)}: spread–skill of {SAMPLES} draws{after}; 1 is calibrated",
                float(np.exp(np.log(ratio).mean())),
                "",
                (float(low), float(high)),
                bar if on == JUDGED else None,
                {"pooled": pooled} | _range(ratio),
            )
        )
        held = np.array([100 * each["covered"] / each["voxels"] for each in of])
        rows.append(
            _row(
                f"cardiac.spread.{_of(on)}coverage_80{'' if kind == RAW else f'_{kind}'}",
                f"{_said(on)}: voxels inside of t-intervals of {SAMPLES} draws at {COVERED:.0%}{after}",
                held,
                "%",
                COVERAGE if on == JUDGED and kind == RAW else None,
                {"pooled": 100 * sums["covered"] / sums["voxels"]} | _range(held),
            )
        )
    return rows


def ventricle_rows(patients: Patients) -> list[Row]:
    """How large the left ventricle looks at dial 0, and how often the draws' intervals hold how large it is."""
    of = [each["areas"] for each in patients]
    errors = {name: [_errors(each["dial 0"][name], each["truth"]) for each in of] for name in of[0]["dial 0"]}
    size = {name: np.array([np.abs(e).mean() for e in each]) for name, each in errors.items()}
    bias = {name: np.array([e.mean() for e in each]) for name, each in errors.items()}
    about = f"{_said(JUDGED)}: area of the left ventricle's blood pool"

    def row(end: str, what: str, found: dict[str, np.ndarray], bar: str) -> Row:
        others = {name: _mean(values) for name, values in found.items() if name != PRIOR}
        key, said = f"cardiac.ventricle.{end}", f"{about}, {what}, dial 0, prior {PRIOR}"
        return _row(key, said, found[PRIOR], "%", bar, others | _range(found[PRIOR]))

    rows = [row("error", "mean absolute error", size, "<= 2.0"), row("bias", "mean error", bias, "-1..1")]
    for other in (name for name in OVER if name in size):
        what = f"{about}, mean absolute error, dial 0, prior {PRIOR} less {other}"
        less = size[PRIOR] - size[other]
        rows.append(_row(f"cardiac.ventricle.less_{other}", what, less, "%", None, _range(less)))
    inside = np.stack([_held(each["draws"], each["truth"]) for each in of])
    slices = np.array([len(each["truth"]) for each in of])
    for level, held in zip(LEVELS, inside.T, strict=True):
        what = f"{about}: how often the {interval_kind(SAMPLES)}-interval of {SAMPLES} draws at {level:.0%} holds it"
        against = {"of all slices": _mean(np.repeat(held, slices)), "slices": float(slices.sum())} | _range(held)
        rows.append(_row(f"cardiac.ventricle.covered_{100 * level:.0f}", what, held, "%", None, against))
    return rows


def _errors(area: Sequence[int], truth: Sequence[int]) -> np.ndarray:
    """(slices,), in % of the true area."""
    return 100 * (np.array(area) / np.array(truth) - 1)


def _held(draws: Sequence[Sequence[int]], truth: Sequence[int]) -> np.ndarray:
    """(levels,), % of the slices whose true area lies in the interval of the areas in the draws."""
    found = coverage_sums(np.array(draws, np.float64), np.array(truth, np.float64), LEVELS, interval_kind(len(draws)))
    return 100 * np.array(found.coverage)


def _row(key: str, what: str, values: np.ndarray, unit: str, bar: str | None, against: dict[str, float]) -> Row:
    """The mean over patients."""
    return Row(key, what, _mean(values), unit, t_interval(values), bar, against)


def _range(values: np.ndarray) -> dict[str, float]:
    return {"least of a patient": float(values.min()), "most": float(values.max())}


def _mean(values: np.ndarray) -> float:
    return float(values.mean())


def _of(on: str) -> str:
    return "" if on == JUDGED else f"{on}."


def _said(on: str) -> str:
    return f"{on} ×4"
