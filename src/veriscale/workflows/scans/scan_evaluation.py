"""How good a prior is on somebody's scans: each is the truth, is measured, restored and compared."""

import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import affine_transform

from veriscale.diffusion.prior import Prior
from veriscale.errors import InputError, nameless, scan_label
from veriscale.imaging.geometry import respaced
from veriscale.imaging.volume import Volume
from veriscale.metrics.draw_scores import DrawSums, draw_sums
from veriscale.metrics.foreground import foreground, foreground_on
from veriscale.metrics.scan_distortion import data_range, scan_psnr, scan_ssim
from veriscale.physics.composition import Composition
from veriscale.physics.downsample import Downsample
from veriscale.physics.measurement_noise import Noise, parse_noise
from veriscale.physics.operator import Operator
from veriscale.physics.slice_profile import SliceProfile
from veriscale.settings import Settings
from veriscale.traversal.method import Tell, labelled
from veriscale.workflows.degrading.measurement import read_operator
from veriscale.workflows.degrading.scan_degradation import in_other_units
from veriscale.workflows.degrading.scan_measurement import measure_scan, truth_on
from veriscale.workflows.draw_table import DrawTable, Tempered, tempered
from veriscale.workflows.factory import own_operator
from veriscale.workflows.known_files import known_warning
from veriscale.workflows.restoring.method_choice import known_scale
from veriscale.workflows.restoring.prior_restorer import PriorRestorer
from veriscale.workflows.scans.asked_guides import AskedGuides
from veriscale.workflows.scans.bound_table import BoundTable
from veriscale.workflows.scans.in_plane import PreparedSlices
from veriscale.workflows.scans.kept_state import KeptState
from veriscale.workflows.scans.reading import Scan, read_scan
from veriscale.workflows.scans.scan_job import Prepared, ScanJob
from veriscale.workflows.scans.scan_restoration import ScanRestoration, operator_told
from veriscale.workflows.score_table import Evaluation

BASELINE = "cubic"
"""The spline of the measurement, in world coordinates, that every restoration is compared with."""


@dataclass(frozen=True)
class ScanScores:
    """One scan at one dial position; `dial` is "cubic" for the baseline.

    Attributes:
        scan: its number among those given, from 1.
        sha256: of its file or series.
        dial: the position.
        psnr, ssim: in the foreground.
        psnr_all, ssim_all: over all voxels, with the same range.
    """

    scan: int
    sha256: str
    dial: float | str
    psnr: float
    ssim: float
    psnr_all: float
    ssim_all: float

    kind: ClassVar[str] = "scans"
    names: ClassVar[Sequence[str]] = ("scan", "sha256")
    chief: ClassVar[str] = "psnr"


def evaluate_scans(
    paths: Sequence[Path],
    prior: Prior,
    settings: Settings,
    *,
    operator: Operator | None = None,
    noise: Noise | None = None,
    index: int | None = None,
    guides: AskedGuides | None = None,
    bound: bool = False,
    progress: Tell = lambda what, done, of: None,
    tell: Callable[[str], None] = lambda line: None,
    say: Callable[[str], None] = lambda line: None,
) -> Evaluation:
    """Score a prior on scans; nothing that is told or returned says whose they are.

    Args:
        paths: NIfTI files, and folders of one DICOM series.
        prior: on its device.
        settings: settled: `scale` in plane, the prior's largest by default; or `operator`, in plane or `slice`, whose
            thick slices are restored to the truth's own; `noise` in units of the truth's levels.
        operator: in the place of the settings' string.
        noise: likewise.
        index: which volume of files of several.
        guides: which guides their measurements are restored with.
        bound: whether the terms of the bound on fused guides are found; there must be guides.
        progress: told after every part of a scan.
        say: told what is to be said of a scan's guides, and of the bound.
        tell: told at the end which of several cannot be scored, by their numbers; the only one that is raises instead.
            And how many the prior has learned from.

    Raises:
        InputError: a setting cannot be used, or no scan can.
    """
    a, model = _measuring(prior, settings, operator, noise)
    restorer = PriorRestorer(prior, replace(settings, scale=None, operator=None, noise=None))
    run: dict[str, Any] = {}
    scores: list[ScanScores] = []
    draws: dict[float, DrawTable] = {}
    terms = BoundTable() if bound else None
    guided, wholly = Counter[str](), 0
    failed: list[str] = []
    hashes: dict[str, tuple[str, ...]] = {}
    for number, path in enumerate(paths, start=1):
        label = scan_label(number, len(paths))
        try:
            scan = read_scan(path, index)
            job = _job(scan, restorer, a, model, guides)
            for note in job.scan.notes:
                say(f"{label}: {note}")
            whole = guides is not None and len(job.guides) == len(guides.sources)
            if terms is not None and not whole:
                say(f"{label}: It is left out of the bound, which is of scans with all guides that are given.")
            found, sums, run = _scored(number, scan, job, terms if whole else None, labelled(progress, label))
            scores += found
            guided.update(guide.modality for guide in job.guides)
            wholly += whole
            hashes[label] = scan.files
            for temperature, of in sums.items():
                names = {"scan": number, "sha256": scan.sha256}
                draws.setdefault(temperature, DrawTable(temperature)).add(names, of)
        except InputError as error:
            sentence = nameless(error, path, label)
            if len(paths) == 1:
                raise InputError(sentence) from None
            failed.append(sentence)
    for sentence in (*failed, *known_warning(prior, hashes, ScanScores.kind)):
        tell(sentence)
    if not scores:
        raise InputError(f"None of the {len(paths)} scans could be scored.")
    if terms is not None and not terms.blocks:
        say(
            "There is no bound: it is over places in the foreground at which every guide is known, and there are none; "
            "give guides whose fields of view have a part in common."
            if wholly
            else "There is no bound: no scan has all guides that are given."
        )
    facts = {
        "prior": prior.card.name,
        **{k: v for k, v in prior.facts.items() if k != "name"},
        **({} if guides is None else {"guided_by": {name: guided[name] for name in sorted(guides.sources)}}),
        "operator": operator_told({**run, "operator": str(a)}),
        "noise": str(model),
        **{k: run[k] for k in ("path", "sampler", "steps", "seed", *(["samples"] if settings.samples else []))},
    }
    tables = draws.pop(1.0, None), next(iter(draws.values()), None)
    return Evaluation(scores, facts, failed, *tables, terms.rows() if terms is not None and terms.blocks else None)


def _measuring(
    prior: Prior, settings: Settings, operator: Operator | None, noise: Noise | None
) -> tuple[Operator, Noise]:
    """What measures the scans."""
    stated = operator or settings.operator
    if stated is None:
        return Downsample(settings.scale or known_scale(prior, None)), noise or parse_noise(settings.noise or "0")
    if settings.scale is not None:
        raise InputError("`--scale` and `--operator` both say what measures the scans; give one.")
    a, told = read_operator(own_operator(stated))
    if isinstance(a, Composition) and any(isinstance(part, SliceProfile) for part in a.parts):
        raise InputError(f"Thick slices are evaluated by themselves, and {a} does more; evaluate its parts in turn.")
    return a, noise or parse_noise(settings.noise or told or "0")


def _job(scan: Scan, restorer: PriorRestorer, a: Operator, noise: Noise, asked: AskedGuides | None) -> ScanJob:
    """A scan measured, and what is asked of its measurement; the notes are those about its guides."""
    truth = scan.volume
    if isinstance(a, SliceProfile):
        a = replace(a, centred=True)  # as a restoration takes it: steps need not be whole voxels
    y = measure_scan(truth, a, noise, restorer.settings.seed or 0).volume.relevelled()
    restorer = replace(restorer, noise=in_other_units(noise, truth.levels.width / y.levels.width))
    guides, notes = ([], []) if asked is None else asked.of(replace(scan, volume=y), truth)
    if isinstance(a, SliceProfile):
        wanted: list[float | None] = [None, None, None]
        wanted[y.slice_axis] = truth.spacing[y.slice_axis]
        grid = respaced(y.grid, wanted)
        if grid.shape == y.shape:
            raise InputError(f"{a} leaves as many slices as the scan has; give a larger step.")
        return ScanJob(restorer, Scan(y, "", a.fwhm, tuple(notes)), grid, a.fwhm, guides)
    return ScanJob(replace(restorer, operator=a), Scan(y, "", None, tuple(notes)), None, None, guides)


def _scored(
    number: int, scan: Scan, job: ScanJob, terms: BoundTable | None, tell: Tell
) -> tuple[list[ScanScores], Tempered, dict[str, Any]]:
    """The baseline and every dial position of one scan; what its draws say; the facts of the run.

    The terms of the bound, where they are wanted, are added to.
    """
    with tempfile.TemporaryDirectory() as folder:

        def keep(number: int, work: Prepared) -> KeptState | None:
            drawn = isinstance(work, PreparedSlices) and work.samples  # in memory the other kind holds them at any rate
            return KeptState(Path(folder) / str(number), work.facts()) if drawn else None

        work = job.steps()[0](job.volume)
        result = job.restore(work, tell, keep)
        scores = _compared(number, scan, result)
        seed = job.restorer.settings.seed or 0
        if terms is not None:
            terms.add(work, replace(result.image, samples=_truth_seen(scan.volume, result)))
        sums = tempered(result.run, partial(_drawn, scan.volume, result, seed)) if result.samples else {}
    return scores, sums, result.run


def _compared(number: int, scan: Scan, result: ScanRestoration) -> list[ScanScores]:
    """The baseline and every dial position, in units of the truth's levels."""
    truth, y = scan.volume, result.measurement
    shape, affine = result.image.shape, result.image.affine
    x = truth_on(truth, result.image.grid)
    coarse = np.linalg.inv(y.affine) @ affine
    spline = affine_transform(y.values(), coarse.diagonal()[:3], coarse[:3, 3], shape, mode="reflect")
    images: dict[float | str, Any] = {BASELINE: spline}
    images |= {f: result.images[f].values() for f in sorted(result.images)}
    mask = foreground(x)
    width, slices = data_range(x, mask), partial(np.moveaxis, source=y.slice_axis, destination=0)
    scores = []
    for dial, values in images.items():
        image = truth.levels.applied(values)
        inside = scan_psnr(image, x, width, mask), scan_ssim(slices(image), slices(x), width, slices(mask))
        over_all = scan_psnr(image, x, width), scan_ssim(slices(image), slices(x), width)
        scores.append(ScanScores(number, scan.sha256, dial, *inside, *over_all))
    return scores


def _drawn(truth: Volume, result: ScanRestoration, seed: int, temperature: float) -> DrawSums:
    """What the draws say at a temperature, over the foreground of the measurement: no truth decides what counts.

    In units of the measurement's levels.
    """
    y, grid, x = result.measurement, result.image.grid, _truth_seen(truth, result)
    return draw_sums([draw.samples for draw in result.samples], x, seed, foreground_on(grid, y), temperature)


def _truth_seen(truth: Volume, result: ScanRestoration) -> NDArray[np.float32]:
    """The truth on the voxels of a result, in the levels of the measurement."""
    return result.measurement.levels.applied(truth.levels.undone(truth_on(truth, result.image.grid)))
