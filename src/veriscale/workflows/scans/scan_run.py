"""One scan of a batch, from file to files: planned, restored, written, or left as an earlier run has made it."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from veriscale.errors import InputError, untold
from veriscale.imaging.atomic import make_folder
from veriscale.imaging.dicom.derived import check_derivable
from veriscale.imaging.dicom.objects import highdicom_for
from veriscale.imaging.dicom.origin import SeriesOrigin
from veriscale.imaging.nifti.read import MAX_VOXELS
from veriscale.imaging.slice_thickness import fields_of
from veriscale.settings import positions
from veriscale.traversal.method import Tell
from veriscale.workflows.certifying.mask import mask_lines
from veriscale.workflows.earlier_results import Origin, all_made, unlike
from veriscale.workflows.journal import Recorded
from veriscale.workflows.peak_memory import peak_memory_mb
from veriscale.workflows.restoring.prior_restorer import PriorRestorer
from veriscale.workflows.restoring.restoration import named_from
from veriscale.workflows.scans.asked_guides import AskedGuides
from veriscale.workflows.scans.cost import facts as cost_facts
from veriscale.workflows.scans.derivatives import in_raw_dataset, write_derivatives
from veriscale.workflows.scans.guide_findings import finding_lines
from veriscale.workflows.scans.kept_state import KeptState
from veriscale.workflows.scans.reading import read_scan
from veriscale.workflows.scans.scan_job import scan_job
from veriscale.workflows.scans.scan_names import ScanNames, names_of
from veriscale.workflows.scans.scan_restoration import ScanRestoration, refuse_existing_of
from veriscale.workflows.scans.scan_room import check_room
from veriscale.workflows.scans.series_out import write_series

_WRITING = "writing"  # lies in the kept state while results are written

RAW = (
    "The results lie in a BIDS dataset of raw data, and its validator will refuse them there; `-o` with another folder "
    "makes a dataset of derivatives."
)


def restore_scan(
    restorer: PriorRestorer,
    path: Path,
    output: Path | None,
    *,
    index: int | None = None,
    max_voxels: int = MAX_VOXELS,
    guides: AskedGuides | None = None,
    dicom_out: Path | None = None,
    report: bool = False,
    force: bool = False,
    skip_existing: bool = False,
    dry_run: bool = False,
    repeated: Recorded | None = None,
    say: Callable[[str], None] = lambda line: None,
    tell: Tell = lambda phase, done, of: None,
) -> dict[str, Any]:
    """Restore one scan; returns the content of its run.json and the files written.

    Args:
        restorer: by a prior.
        path: the scan.
        output: a file, a folder, or None for beside the scan.
        index: which volume of a file of several.
        max_voxels: what a file's header may announce at most for one volume.
        guides: which guides it is restored with.
        dicom_out: a new folder for a derived series of a DICOM series, or for several of them in folders of their own.
        report: write a page that shows the results beside the scan.
        force: replace what is there.
        skip_existing: leave the scan alone where its results are all there, made by an earlier run with these settings.
        dry_run: check everything, and stop.
        repeated: the run that is repeated.
        say: told what is to be said; nothing of it tells whose scan it is.
        tell: told after every part.

    Raises:
        InputError: something about the scan, the settings or the results.
        KeyboardInterrupt: in the midst of the work, with a sentence that says what the next run will do.
    """
    job = scan_job(restorer, read_scan(path, index, max_voxels), guides)
    series = job.volume.origin.series if isinstance(job.volume.origin, SeriesOrigin) else None
    v = restorer.settings
    if dicom_out is not None:
        if series is None:
            raise InputError("`--dicom-out` derives a series of a DICOM series, and the scan is no DICOM series.")
        check_derivable(series)
        if v.samples:
            highdicom_for("the spread")
        if restorer.certificate is not None:
            highdicom_for("the mask")
    planned = job.planned()
    spacing = job.spacing_of(planned[0])
    masked = restorer.certificate is not None
    dials = sorted(positions(v.dial or "0"))
    names = names_of(path, output, dials, v.samples or 0, spacing, report, index, masked)
    held = None if v.certificate is None else named_from(v.certificate, names.run.parent)
    told = {
        "arguments": {**restorer.told, "certificate": held},
        "input": {"sha256": job.scan.sha256, "volume": index},
        **job.told_guides,
    }
    origin = Origin(Path("the scan"), {**planned[-1].facts(), **told})
    try:
        there = dicom_out is not None and dicom_out.exists()
        if skip_existing and (dicom_out is None or there) and all_made(names.run, names.all(), force, origin):
            say("done already, skipped.")
            return {"input": told["input"], "skipped": True, "outputs": []}
        if there:
            raise InputError("`--dicom-out` writes a new folder, and it is there already; choose another name.")
        # What a run left that was cut off while it wrote is no result yet.
        force = force or skip_existing or (names.kept / _WRITING).is_file()
        refuse_existing_of(names, force)
        check_room(planned, names.run.parent)
        lines = [line for work in planned for line in work.lines()]
        if repeated is not None:
            lines += unlike(origin, repeated.hashes, repeated.input_sha256)
        for line in dict.fromkeys([*lines, *job.notes(planned), *_placed(names)]):
            say(line)
        if dry_run:
            costs = [work.cost() for work in planned]
            for cost in costs:
                say(cost.line)
            return {"input": told["input"], "dry_run": True, **cost_facts(costs), "outputs": []}
        make_folder(names.run.parent)
        result = job.restore(
            planned[0], tell, lambda k, work: KeptState(names.kept / str(k), {**told, **work.facts()}), look=True
        )
        result.run.update(told, peak_memory_mb=peak_memory_mb())
        page = _page()(result) if report else ""
        (names.kept / _WRITING).touch()
        files, notes = result.write(names, force, page)
        if names.bids is not None:
            write_derivatives(names, result, fields_of(path), job.scan.sha256, force)
        if dicom_out is not None and series is not None:
            notes += write_series(result, series, dicom_out)
            files.append(dicom_out)
    except InputError as error:
        raise InputError(untold(error, names.labels())) from None
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt("Interrupted; the same command goes on from there.") from error
    shutil.rmtree(names.kept, ignore_errors=True)
    notes += finding_lines(result.run.get("guide_findings", {}))
    for line in notes if result.mask is None else [*notes, *mask_lines(result.mask)]:
        say(line)
    return {**result.run, "outputs": [str(f) for f in files]}


def _placed(names: ScanNames) -> list[str]:
    return [RAW] if in_raw_dataset(names) else []


def _page() -> Callable[[ScanRestoration], str]:
    from veriscale.workflows.scans.scan_report import scan_report_html  # a template engine, for those who want a report

    return scan_report_html
