"""Scans that serve as truth: whose they are, measured, restored, and compared over the measurement's foreground."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from veriscale.errors import InputError, nameless, scan_label
from veriscale.imaging.dicom.origin import identifiers
from veriscale.imaging.label_map import LEVELS, like_labels
from veriscale.imaging.nifti.read import SeveralVolumes
from veriscale.imaging.scan_name import split_scan_name
from veriscale.metrics.foreground import foreground_on
from veriscale.physics.measurement_noise import Noise
from veriscale.physics.operator import Operator
from veriscale.stages.patients import APART, APART_TOO
from veriscale.stages.subjects import LIKE_GROUPS, NAMED_APART, is_named, perhaps_groups, subject_of
from veriscale.traversal.method import Tell
from veriscale.trust.certificate import score_quantiles
from veriscale.trust.discrepancies import Discrepancy
from veriscale.trust.losses.loss import Loss
from veriscale.trust.losses.registry import staircase
from veriscale.workflows.certifying.calibration_log import UnitRecord
from veriscale.workflows.certifying.scan_mask import scan_statistics
from veriscale.workflows.degrading.scan_measurement import measure_scan, truth_on
from veriscale.workflows.inputs import Item
from veriscale.workflows.restoring.prior_restorer import PriorRestorer
from veriscale.workflows.scans.asked_guides import AskedGuides, not_guiding
from veriscale.workflows.scans.guide_scans import Guide
from veriscale.workflows.scans.in_plane import PreparedSlices, prepare_slices
from veriscale.workflows.scans.reading import Scan, read_scan, takes_scan

Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Truth:
    """A scan that serves as truth.

    Attributes:
        path: where it lies.
        label: what sentences call it: its name may be that of a person.
        sha256: of its file or series.
        files: of its file, or of each of the series.
        patient: a number that stands for whose it is.
        guides: hashes of its guides.
    """

    path: Path
    label: str
    sha256: str
    files: tuple[str, ...]
    patient: int
    guides: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Compared:
    """One scan over the foreground of its measurement: (1, N) each, in the levels of the measurement.

    Attributes:
        score: higher where the result is less trustworthy.
        apart: the discrepancy.
        error: of the result, with its sign.
        described: the measurement's statistics.
    """

    score: Array
    apart: Array
    error: Array
    described: NDArray[np.float64]


@dataclass(frozen=True)
class ScanMeasuring:
    """How scans are measured and compared.

    Attributes:
        operator: in plane.
        noise: in units of the truth's levels.
        seed: of the noise, which depends on the volume too.
        discrepancy: between result and truth; what lies above its bound counts as that.
        guides: which guides the measurements are restored with, every one of them.
    """

    operator: Operator
    noise: Noise
    seed: int
    discrepancy: Discrepancy
    guides: AskedGuides | None = None

    def prepared(self, restorer: PriorRestorer, scan: Scan) -> PreparedSlices:
        """The measurement of a truth, with levels of its own as it would be read from a file, ready to be restored.

        Raises:
            InputError: the scan does not suit the operator or the prior, or lacks a guide.
        """
        y = measure_scan(scan.volume, self.operator, self.noise, self.seed).volume.relevelled()
        return prepare_slices(
            replace(restorer, operator=self.operator), y, guides=self.guides_of(replace(scan, volume=y))
        )

    def guides_of(self, scan: Scan) -> list[Guide]:
        """All guides of a scan.

        Raises:
            InputError: one cannot be used or is not found.
        """
        if self.guides is None:
            return []
        found, _ = self.guides.of(scan)
        if len(found) < len(self.guides.sources):
            lacking = sorted({*self.guides.sources} - {guide.modality for guide in found})
            raise InputError(f"No guide {lacking[0]} is found for it, and a certificate is about all that are given.")
        return found

    def __call__(self, restorer: PriorRestorer, scan: Truth, tell: Tell) -> Compared:
        """Measure, restore and compare a scan.

        Raises:
            InputError: it cannot be read or used; the sentence does not name it.
        """
        try:
            read = read_scan(scan.path)
            truth, work = read.volume, self.prepared(restorer, read)
            result = work.restore(tell)
            inside = foreground_on(result.image.grid, result.measurement)
            described = scan_statistics(result.measurement)
        except InputError as error:
            raise InputError(nameless(error, scan.path, scan.label)) from None
        if result.score is None:
            raise ValueError("a restorer without a score delivers nothing to certify")
        x = work.volume.levels.applied(truth.levels.undone(truth_on(truth, work.grid)))
        picture, axis = result.image.samples, work.volume.slice_axis
        slices = [np.moveaxis(a, axis, 0)[..., None] for a in (picture, x)]
        apart = np.stack([self.discrepancy(one, other) for one, other in zip(*slices, strict=True)])
        apart = np.moveaxis(np.minimum(apart, np.float32(self.discrepancy.bound)), 0, axis)
        score, apart, off = (np.ascontiguousarray(a[inside][None]) for a in (result.score, apart, picture - x))
        return Compared(score, apart, off, described)


def record_of(
    scans: Sequence[Truth], measuring: ScanMeasuring, restorer: PriorRestorer, loss: Loss, tell: Tell
) -> UnitRecord:
    """What a certificate keeps of one patient: all scans together.

    Raises:
        InputError: a scan cannot be used.
    """
    found = [measuring(restorer, scan, tell) for scan in scans]
    # Scans of a patient resemble each other: one of them, drawn by lot, stands for the patient in the drift check.
    drawn = min(range(len(scans)), key=lambda k: scans[k].sha256)
    return UnitRecord(
        staircase(loss, [(each.score, each.apart) for each in found], measuring.discrepancy.bound),
        score_quantiles([each.score for each in found]),
        found[drawn].described,
    )


def truths_of(
    items: Sequence[Item],
    grouped: bool,
    measuring: ScanMeasuring,
    restorer: PriorRestorer,
    warn: Callable[[str], None],
) -> tuple[list[Truth], dict[str, str]]:
    """The scans that can be used, with their patients, and why the others cannot; no score has a say in it.

    Args:
        items: scans.
        grouped: whether the sub-folder says whose a scan is; else `subject_of` does.
        measuring: how they are measured.
        restorer: of the measurements.
        warn: told where a patient looks like several, and a scan like a map of labels.

    Raises:
        InputError: none can, or DICOM series of one PatientID would count as two patients.
    """
    good, bad = [], dict[str, str]()
    causes = list[str]()
    numbers: dict[str, int] = {}
    known: dict[str, tuple[int, str]] = {}  # PatientID → patient, and the scan that told it first
    plain = []
    subjects = subjects_of(items, grouped)
    for k, (item, subject) in enumerate(zip(items, subjects, strict=True), start=1):
        label = scan_label(k, len(items))
        try:
            scan = read_scan(item.path)
            work = measuring.prepared(restorer, scan)
            guides = tuple(guide.sha256 for guide in measuring.guides_of(scan))
            foreground_on(work.grid, work.volume)
            scan_statistics(work.volume)
        except SeveralVolumes as error:
            what = nameless(str(error).rpartition(";")[0], item.path, label)
            bad[label] = f"{what}, and a certificate is of files of one; write each to a file of its own"
            continue
        except InputError as error:
            bad[label] = nameless(error, item.path, label)
            causes.append(str(error))
            continue
        if like_labels(iter(scan.volume.samples)):
            plain.append(label)
        patient = numbers.setdefault(subject, len(numbers) + 1)
        for told in identifiers(scan.volume, "PatientID"):
            other, where = known.setdefault(told, (patient, label))
            if other != patient:
                raise InputError(
                    f"{where} and {label} are of one patient, by the PatientID of both, and would count as two; "
                    f"{APART}."
                )
        good.append(Truth(item.path, label, scan.sha256, scan.files, patient, guides))
    if not good:
        alike = len(causes) == len(bad) > 1 and len(set(causes)) == 1  # of settings, and of no scan
        one = causes[0] if alike else None
        none = f"None of the {len(items)} scans can be used: " if len(items) > 1 else ""
        raise InputError(one or f"{none}{next(iter(bad.values()))}")
    count = len(numbers)
    if doubtful := perhaps_groups(zip(subjects, (item.path for item in items), strict=True)):
        by_folder = "if each of these is a patient, give each a sub-folder of its own, beside the others'"
        remedy = by_folder if grouped else NAMED_APART
        warn(f"Of {count} patients {len(doubtful)} may be several: {LIKE_GROUPS}; {remedy}.")
    if several := [n for n in numbers.values() if sum(n == patient for patient, _ in known.values()) > 1]:
        warn(f"Of {count} patients {len(several)} have series of several PatientIDs; {APART_TOO}.")
    if plain:
        warn(
            f"Of {len(items)} scans {len(plain)}, such as {plain[0]}, have no more than {LEVELS} levels, as maps of "
            "labels have and scans have not; if they are, take them away."
        )
    return good, bad


def by_patient(scans: Sequence[Truth]) -> dict[str, list[Truth]]:
    """The scans of each patient, under a name that tells nothing."""
    found: dict[str, list[Truth]] = {}
    for scan in scans:
        found.setdefault(f"patient {scan.patient}", []).append(scan)
    return found


def of_scans(items: Sequence[Item]) -> bool:
    """Whether inputs are scans; photographs else.

    Raises:
        InputError: both are there.
    """
    scans = [takes_scan(item.path) for item in items]
    if any(scans) and not all(scans):
        raise InputError("A certificate is for photographs or for scans, and both are there; take one kind away.")
    return all(scans)


def unguiding(items: Sequence[Item], guides: AskedGuides | None, say: Callable[[str], None]) -> list[Item]:
    """Those of several scans that guide no other of them; as `not_guiding`."""
    if guides is None:
        return list(items)
    kept = not_guiding([item.path for item in items], guides, say)
    return [item for item in items if item.path in kept]


def subjects_of(items: Sequence[Item], grouped: bool) -> list[str]:
    """Whose each scan is: by the sub-folder where that has a say, a series' own too; else by `subject_of`.

    What lies in different folders of those that were given, or found by a pattern, is of different subjects, but for
    the `sub-XX` of BIDS.
    """
    bases = [item.path.parents[len(item.folder.parts)] for item in items]
    subjects = []
    for item, base in zip(items, bases, strict=True):
        series = item.path.is_dir()
        folder = item.path if series else item.path.parent
        if grouped:
            subject = next(iter(folder.relative_to(base).parts), "")
        else:
            subject = subject_of(split_scan_name(item.path)[0], folder, base, series)
        apart = len(set(bases)) > 1 and (grouped or not is_named(subject))
        subjects.append(str(base / subject) if apart else subject)
    return subjects
