"""The rows of guides that are of use: through the plane, shifted guides, the shipped ones beside the study's, time."""

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from cache import measured
from guide_shift import GUIDES, SINGLE, TARGET, rates, trials
from guides_blocks import blocks, gain_rows, psnr
from guides_cases import NONE, SCALE, Condition, case
from guides_rows import GAINS
from guides_runs import SOUND, Run, Study, hash_of
from guides_scores import Numbers
from results import RESULTS, Row
from scan_inplane import AXIAL
from scan_through import TEST, THICK, restored, thick, truth_of
from scans import SUBJECTS, scan
from veriscale.diffusion.library import known_priors
from veriscale.diffusion.prior import TrainedPrior
from veriscale.guides.guide_file import read_guide_card
from veriscale.guides.guided_prior import GuidedPrior
from veriscale.imaging.volume import Volume
from veriscale.metrics.scan_distortion import data_range
from veriscale.runtime.networks import ConditionalDenoiser, UnconditionalDenoiser, encode
from veriscale.workflows.opening import load_prior
from veriscale.workflows.scans.guide_scans import Guide

SHIPPED = "mri-guided"
THROUGH = ("T2", "FLAIR")
SMALLER = 2
"""The other factor that guides are trained for, at which there is little to gain."""
BESIDE = Condition(("T1",))
FLIPPED = replace(BESIDE, kind="flipped", whole=True)
"""The guide of thick slices, and a wrong one: left is right."""
DIALS = ("0", "1")
SHIFTS = 2  # along both axes
SLABS = (0.1, 0.3, 0.5, 0.7, 0.9)
_REPEATS = 15


def through_rows(study: Study) -> list[Row]:
    """Thick slices with an isotropic T1 beside them, against the same prior without."""
    return [
        row
        for target in THROUGH
        for row in _through(
            study.guides(Run(target=target, planes="all")), target, f"guides.through.{TEST}.{target}", ">= 0.8"
        )
    ]


def shift_rows(study: Study) -> list[Row]:
    """How often a shifted guide of a test subject is found, and a sound one suspected; by slabs of slices."""
    rows = []
    for subject in SUBJECTS:
        items = [f"{guide} {factor} {about}" for guide in GUIDES for factor in (2, 4) for about in SLABS]

        def tried(item: str, subject: str = subject) -> list[float]:
            guide, factor, about = item.split()
            return list(rates(trials(subject, guide, int(factor), SHIFTS, about=float(about))))

        found = np.array(measured("guides_shift", {"subject": subject, "shifts": SHIFTS}, items, tried, 16.0))
        right, wrong = found.mean(0).tolist()
        what = f"{subject}, guides on T2 ×2 and ×4, {len(items)} slabs of 40 slices"
        count = len(SINGLE) + SHIFTS
        said = f"{what} and {count} shifts of each, of 2 to 6 voxels along one axis or two: found within 1 and said"
        rows.append(Row(f"guides.shift.{subject}.found", said, right, "", None, ">= 0.9"))
        said = f"{what}: sound guides that are suspected, of {len(items)}"
        rows.append(Row(f"guides.shift.{subject}.suspected", said, wrong, "", None, "<= 0.05"))
    return rows


def shipped_rows(study: Study) -> list[Row]:
    """The shipped guides on the study's tests, which are to bring no less than the study's."""
    rows, guides = [], known_priors()[SHIPPED]
    for subject in SUBJECTS:
        numbers, least = study.errors(guides, subject), gain_of_study(subject)
        told = {"guided": psnr(numbers, SOUND), "without": psnr(numbers, NONE), "the study's gain": least}
        with_guides, without = ([blocks(numbers, condition)] for condition in (SOUND, NONE))
        what = f"{subject}, T2 ×{SCALE}, dial 0, {SHIPPED} with all guides over without"
        bar = f">= {max(least, GAINS.get(subject, 0.0)):.2f}"
        rows += gain_rows(f"guides.shipped.{subject}", what, bar, with_guides, without, told)
        fine = study.errors(guides, subject, [NONE, SOUND], SMALLER)
        with_guides, without = ([blocks(fine, condition)] for condition in (SOUND, NONE))
        what = f"{subject}, T2 ×{SMALLER}, dial 0, {SHIPPED} with all guides over without"
        rows += gain_rows(
            f"guides.shipped.{subject}.x{SMALLER}", what, ">= -0.05", with_guides, without, {}, lowest=False
        )
    through = _through(guides, TARGET, f"guides.shipped.through.{TEST}.{TARGET}", ">= 0.8")
    return [*rows, *through, *_speeds(guides, "guides.shipped.speed")]


def gain_of_study(subject: str, folder: Path = RESULTS) -> float:
    """dB that all guides bring the study's own, as written with the part `clean`.

    Raises:
        SystemExit: that part has not been measured.
    """
    path = folder / "guides_clean.json"
    if not path.exists():
        raise SystemExit(f"{path.name} is not in {folder}: measure the part clean before the part shipped")
    rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
    [told] = [row["against"] for row in rows if row["id"] == f"guides.clean.{subject}"]
    return float(told["guided"] - told["without"])


def speed_rows(study: Study) -> list[Row]:
    """An evaluation of each network with three guides over one without."""
    return _speeds(study.guides(Run(planes="all")), "guides.speed")


def _through(guides: Path, target: str, id: str, bar: str) -> list[Row]:
    def work(item: str) -> dict[str, Numbers]:
        truth, mask = truth_of(TEST, target)
        y, values, prior = thick(truth), truth.values(), load_prior(guides)
        about: Numbers = {"places": list(range(truth.shape[AXIAL])), "width": data_range(values, mask)}
        found = {dial: dict(about) for dial in DIALS}
        for condition in (NONE, BESIDE, FLIPPED):
            beside = [Guide(name, _beside(name, condition), "") for name in condition.given]
            for dial, image in zip(DIALS, restored(y, prior, ",".join(DIALS), beside), strict=True):
                square = np.square(image - values) * mask
                error, places = (of.sum((0, 1)).tolist() for of in (square, mask))
                found[dial][condition.name] = {"error": error, "places": places}
        return found

    settings = {"prior": hash_of(guides), "target": target, "dials": DIALS}
    [numbers] = measured("guides_through", settings, [TEST], work, 180.0)
    parent = read_guide_card(guides).parent
    rows = []
    for dial, end in zip(DIALS, ("", ".draw"), strict=True):
        what = f"{TEST} {target}, {THICK} mm to 1 mm, dial {dial}, a T1 of 1 mm beside it"
        told = {"guided": psnr(numbers[dial], BESIDE), "without": psnr(numbers[dial], NONE)}
        of = {condition: [blocks(numbers[dial], condition)] for condition in (NONE, BESIDE, FLIPPED)}
        over, wrong = f"over unguided {parent!r}", "left for right"
        asked, lowest = (None, False) if end else (bar, True)  # the bar is of dial 0
        rows += gain_rows(f"{id}{end}", f"{what} {over}", asked, of[BESIDE], of[NONE], told, lowest=lowest)
        what = f"{what}, {wrong}, {over}"
        rows += gain_rows(f"{id}{end}.wrong", what, ">= -0.1", of[FLIPPED], of[NONE], {}, lowest=False)
    return rows


def _beside(name: str, condition: Condition) -> Volume:
    whole = scan(TEST, name)
    return replace(whole, samples=whole.samples[::-1].copy()) if condition.kind else whole


def _speeds(guides: Path, id: str) -> list[Row]:
    found = case(SUBJECTS[0])
    i, prior = len(found.places) // 2, load_prior(guides)
    if not isinstance(prior, GuidedPrior):
        raise TypeError(f"{guides} holds no guides")
    y, x = found.y(i), found.x(i)
    both = prior.guided_by(found.pictures(i, SOUND)), prior
    conditions = [encode(p, y, SCALE, 0.0, features=True) for p in both]
    sigma = prior.mode(SCALE).sigma_data[0]
    denoisers = [ConditionalDenoiser(p, c, SCALE, 0.0) for p, c in zip(both, conditions, strict=True)]
    works: dict[str, list[Callable[[], object]]] = {
        "encoder": [lambda p=p: encode(_anew(p), y, SCALE, 0.0, features=True) for p in both],
        "denoiser": [lambda d=d: d(x, sigma) for d in denoisers],
        "denoiser_anew": [lambda p=p: UnconditionalDenoiser(_anew(p.about(x)))(x, sigma) for p in both],
    }
    told = {"denoiser": ", what guides say kept from the one before", "denoiser_anew": ", as through the plane"}
    what, size = f"{prior.guide_card.parent!r}: time of one evaluation of the", "×".join(map(str, x.shape[-2:]))
    with torch.inference_mode():
        return [
            Row(
                f"{id}.{name}",
                f"{what} {name.split('_')[0]} with three guides over one without, {size}{told.get(name, '')}",
                _ratio(*pair),
                bar="<= 1.5",
            )
            for name, pair in works.items()
        ]


def _anew(prior: TrainedPrior) -> TrainedPrior:
    """As for another picture, or through the plane: nothing is kept of the guides."""
    return prior.rearranged(lambda t: t)


def _ratio(one: Callable[[], object], other: Callable[[], object]) -> float:
    """Of median times, by turns, after one of each that does not count."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(_REPEATS + 1):
        for work, spent in zip((one, other), times, strict=True):
            begun = time.perf_counter()
            work()
            spent.append(time.perf_counter() - begun)
    return statistics.median(times[0][1:]) / statistics.median(times[1][1:])
