"""Calibrating a prior on a folder of scans: one promise about all scans of a patient together."""

from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec import UNSET

from veriscale.errors import InputError, scan_label
from veriscale.physics.composition import Composition
from veriscale.physics.slice_profile import SliceProfile
from veriscale.traversal.method import Tell
from veriscale.trust.certificate import Certificate, Unit
from veriscale.trust.facts import PriorFacts
from veriscale.workflows.certifying.calibration_log import UnitRecord
from veriscale.workflows.certifying.calibration_run import Promise, Units, certify_units
from veriscale.workflows.certifying.certified_settings import SCANS
from veriscale.workflows.certifying.scan_units import ScanMeasuring, by_patient, record_of, subjects_of, truths_of
from veriscale.workflows.inputs import Item
from veriscale.workflows.restoring.prior_restorer import PriorRestorer
from veriscale.workflows.scans.reading import read_scan

DISCREPANCIES = ("pointwise", "neighbourhood")
"""Those of scans: the others are of colours and features of pictures in [0, 1]."""


def certify_scans(
    items: Sequence[Item],
    restorer: PriorRestorer,
    measuring: ScanMeasuring,
    promise: Promise,
    output: Path,
    *,
    grouped: bool,
    skip_bad: bool,
    force: bool,
    progress: Tell,
    tell: Callable[[str], None],
    warn: Callable[[str], None],
) -> Certificate:
    """Measure, restore and compare every scan, and write the certificate, which does not tell whose they are.

    Args:
        items: scans, with the folder each lies in.
        restorer: of their measurements, in plane, at one dial position with a score.
        measuring: how they are measured and compared.
        promise: of patients.
        output: of the certificate.
        grouped: whether the sub-folder says whose a scan is; else `stages.subjects.subject_of` does.
        skip_bad: go on without scans that cannot be used.
        force: replace an existing certificate.
        progress: told after every slice.
        tell: told in words what is left out.
        warn: as of `truths_of`.

    Raises:
        InputError: as `certify`, or a setting does not go with scans.
    """
    _check(measuring, promise)
    if grouped and (alone := [k for k, subject in enumerate(subjects_of(items, grouped), start=1) if not subject]):
        raise InputError(
            f"{scan_label(alone[0], len(items))} lies in no sub-folder, and `--group` makes each of them a patient; "
            "move it into one."
        )
    scans, left_out = truths_of(items, grouped, measuring, restorer, warn)
    if left_out and not skip_bad:
        why = next(iter(left_out.values())).rstrip(".")
        more = f" ({len(left_out)} such scans in all)" if len(left_out) > 1 else ""
        raise InputError(f"{why}{more}; take it away, or go on without it with `--skip-bad`.")
    patients = by_patient(scans)
    for line in restorer.remarks:
        tell(line)
    for why in left_out.values():
        tell(f"Left out: {why}")
    tell(
        f"Patients: {len(patients)}, with {len(scans)} scans in all, "
        f"{measuring.operator} in plane, noise {measuring.noise}, score {restorer.score}, loss {promise.loss.name}"
        f"{'' if measuring.guides is None else ', guided by ' + ', '.join(measuring.guides.sources)}."
    )

    def first() -> tuple[Unit, PriorFacts]:
        work = measuring.prepared(restorer, read_scan(scans[0].path))
        return Unit("patient", None, None, "grey", 32, SCANS, grouped or UNSET), work.middle.facts

    def record(name: str, shown: Tell) -> UnitRecord:
        return record_of(patients[name], measuring, restorer, promise.loss, shown)

    guides = {scan.label: list(scan.guides) for scan in scans if scan.guides}
    files = {name: [scan.label for scan in own] for name, own in patients.items()}
    hashes, contents = {scan.label: scan.sha256 for scan in scans}, {scan.label: scan.files for scan in scans}
    return certify_units(
        Units(files, hashes, contents, first, record, "scan", guides),
        restorer,
        promise,
        output,
        seed=measuring.seed,
        prior=restorer.prior,
        left_out=left_out,
        force=force,
        progress=progress,
        tell=tell,
    )


def _check(measuring: ScanMeasuring, promise: Promise) -> None:
    """Raise `InputError` where something is asked that is of photographs."""
    a = measuring.operator
    if any(isinstance(part, SliceProfile) for part in (a.parts if isinstance(a, Composition) else (a,))):
        raise InputError(f"Certificates are for scans restored in plane yet, and {a} is through it; give `--scale`.")
    if promise.loss.any_size:
        raise InputError(
            f"The loss '{promise.loss.name}' is for photographs; scans have any size, and a share of their foreground: "
            "use area."
        )
    if promise.discrepancy.name not in DISCREPANCIES:
        raise InputError(
            f"The discrepancy '{promise.discrepancy.name}' is for photographs; use {' or '.join(DISCREPANCIES)}."
        )
