"""One scan of a batch: read, restored in plane and through it, written."""

import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from veriscale.errors import InputError
from veriscale.imaging.atomic import make_folder
from veriscale.imaging.dicom.objects import highdicom_for
from veriscale.imaging.geometry import Grid, respaced, spacing_of
from veriscale.imaging.slice_thickness import fields_of
from veriscale.imaging.volume import Volume
from veriscale.settings import positions
from veriscale.traversal.method import Tell
from veriscale.workflows.earlier_results import Origin, all_made, unlike
from veriscale.workflows.journal import Recorded
from veriscale.workflows.restoring.prior_restorer import PriorRestorer
from veriscale.workflows.scans.cost import facts as cost_facts
from veriscale.workflows.scans.derivatives import in_raw_dataset, write_derivatives
from veriscale.workflows.scans.in_plane import PreparedSlices, prepare_slices
from veriscale.workflows.scans.kept_state import KeptState
from veriscale.workflows.scans.reading import Scan, SeriesOrigin, read_scan
from veriscale.workflows.scans.scan_names import ScanNames, names_of
from veriscale.workflows.scans.scan_restoration import ScanRestoration, refuse_existing_of
from veriscale.workflows.scans.series_out import write_series
from veriscale.workflows.scans.through_plane import PreparedThrough, prepare_through

Prepared = PreparedSlices | PreparedThrough

_WRITING = "writing"  # lies in the kept state while results are written

RAW = (
    "The results lie in a BIDS dataset of raw data, and its validator will refuse them there; `-o` with another folder "
    "makes a dataset of derivatives."
)


@dataclass(frozen=True, eq=False)
class ScanJob:
    """One scan with what is asked of it.

    Attributes:
        restorer: by a prior.
        scan: the measurement.
        grid: of the result, where a spacing is asked for; else None, and the slices are restored by the settings.
        thickness: of the slices in millimetres, where it is known.
    """

    restorer: PriorRestorer
    scan: Scan
    grid: Grid | None
    thickness: float | None

    def __post_init__(self) -> None:
        v = self.restorer.settings
        for name in ("certificate", "command", "crop", "ensemble", "sigma0"):
            if getattr(v, name):
                raise InputError(f"`--{name}` is for photographs yet, and this is a scan; leave it out.")
        if self.grid is not None and (v.scale is not None or v.operator is not None):
            raise InputError("`--spacing` says the result's grid, and so would `--scale` or `--operator`; give one.")
        if self._through and self.thickness is None:
            raise InputError(
                "How thick the scan's slices are is not known: neither a DICOM header nor a JSON file beside it says "
                "its SliceThickness; give `--thickness` in mm."
            )
        if self.grid is not None and not self._through and self._plane is None:
            raise InputError("`--spacing` is that of the scan itself: there is nothing to do; give a finer one.")

    @property
    def volume(self) -> Volume:
        """The measurement."""
        return self.scan.volume

    @property
    def _through(self) -> bool:
        return self.grid is not None and self.grid.shape[self._axis] != self.volume.shape[self._axis]

    @property
    def _axis(self) -> int:
        return self.volume.slice_axis

    @property
    def _plane(self) -> Grid | None:
        """Of the slices as they are and their pixels as they are to be; None where a spacing keeps them."""
        if self.grid is None:
            return None
        wanted: list[float | None] = list(spacing_of(self.grid.affine))
        wanted[self._axis] = None
        plane = respaced(self.volume.grid, wanted)
        return None if plane.shape == self.volume.shape else plane

    def spacing_of(self, first: Prepared) -> tuple[float, float, float] | None:
        """Millimetres along the stored axes of a result on a grid of its own; None where it has the scan's.

        Args:
            first: the first of the steps, prepared.
        """
        grid = self.grid if self.grid is not None and self._through else first.grid
        if grid.shape == self.volume.shape:
            return None
        x, y, z = spacing_of(grid.affine).tolist()
        return self.volume.origin.orientation.values_outside((x, y, z))

    def ahead(self) -> list[Prepared]:
        """All steps prepared before any work, the second for an empty volume in the place of the first one's result."""
        found: list[Prepared] = []
        for step in self.steps():
            grid = found[-1].grid if found else None
            empty = None if grid is None else np.broadcast_to(np.float32(0), (1, *grid.shape))
            found.append(step(self.volume if empty is None or grid is None else self.volume.like(empty, grid.affine)))
        return found

    def steps(self) -> list[Callable[[Volume], Prepared]]:
        """Preparations, in turn: in plane first, where there is something to do, then through it.

        Of two the first is at dial 0: its draws would be those of a picture that the second never sees.
        """
        found: list[Callable[[Volume], Prepared]] = []
        by = self.restorer
        if self.grid is None or self._plane is not None:
            first = replace(by, settings=replace(by.settings, dial="0", samples=0)) if self._through else by
            found.append(lambda volume: prepare_slices(first, volume, self._plane))
        if self.grid is not None and self._through and self.thickness is not None:
            grid, thickness = self.grid, self.thickness
            found.append(
                lambda volume: prepare_through(by.prior, by.settings, volume, grid, thickness, by.noise, by.tile)
            )
        return found

    def restore(
        self,
        first: Prepared,
        tell: Tell = lambda phase, done, of: None,
        keep: Callable[[int, Prepared], KeptState | None] = lambda number, work: None,
    ) -> ScanRestoration:
        """All steps in turn.

        Args:
            first: the first of them, prepared.
            tell: told after every part.
            keep: where the state of a step lies, by its number; nowhere by default.

        Raises:
            InputError: what is asked does not go with a later step.
        """
        result = first.restore(tell, keep(0, first))
        for number, step in enumerate(self.steps()[1:], start=1):
            work, before = step(result.image), result.run
            result = work.restore(tell, keep(number, work))
            result.run["before"] = before
        return replace(result, measurement=self.volume)


def scan_job(restorer: PriorRestorer, scan: Scan) -> ScanJob:
    """What is asked of a scan.

    Args:
        restorer: by a prior.
        scan: the measurement.

    Raises:
        InputError: something about the scan or the settings.
    """
    v, volume = restorer.settings, scan.volume
    asked = None if v.spacing is None else spacings(v.spacing)
    stated = v.thickness
    if stated is not None and not 0 < stated < 1000:
        raise InputError(f"`--thickness` {stated:g} is no thickness; give millimetres above 0.")
    if stated is not None and scan.thickness not in (None, stated):
        raise InputError(f"`--thickness` is {stated:g} mm, and the scan itself says {scan.thickness:g}; leave it out.")
    inside = None if asked is None else volume.origin.orientation.values_inside(asked)
    grid = None if inside is None else respaced(volume.grid, inside)
    return ScanJob(restorer, scan, grid, scan.thickness or stated)


def spacings(text: str) -> tuple[float | None, float | None, float | None]:
    """The three of `1,1,1` or `-,-,1`.

    Raises:
        InputError: they are not.
    """
    parts = [part.strip() for part in text.split(",")]
    try:
        a, b, c = (None if part == "-" else float(part) for part in parts)
        return a, b, c
    except ValueError as error:
        raise InputError(f"`--spacing` {text} is not three numbers in mm, such as 1,1,1 or -,-,1.") from error


def restore_scan(
    restorer: PriorRestorer,
    path: Path,
    output: Path | None,
    *,
    index: int | None = None,
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
    job = scan_job(restorer, read_scan(path, index))
    series = job.volume.origin.series if isinstance(job.volume.origin, SeriesOrigin) else None
    if dicom_out is not None and series is None:
        raise InputError("`--dicom-out` writes a series derived of a DICOM series, and the scan is no DICOM series.")
    v = restorer.settings
    if dicom_out is not None and v.samples:
        highdicom_for("the spread")
    ahead = job.ahead()
    spacing = job.spacing_of(ahead[0])
    names = names_of(path, output, sorted(positions(v.dial or "0")), v.samples or 0, spacing, report)
    told = {
        "arguments": {**asdict(v), "prior": v.prior or restorer.prior.named},
        "input": {"sha256": job.scan.sha256, "volume": index},
    }
    origin = Origin(Path("the scan"), {**ahead[-1].facts(), **told})
    try:
        there = dicom_out is not None and dicom_out.exists()
        if skip_existing and (dicom_out is None or there) and all_made(names.run, names.all(), force, origin):
            say("The scan: done already, skipped.")
            return {"input": told["input"], "skipped": True, "outputs": []}
        if there:
            raise InputError("`--dicom-out` writes a new folder, and it is there already; choose another name.")
        # What a run left that was cut off while it wrote is no result yet.
        force = force or skip_existing or (names.kept / _WRITING).is_file()
        refuse_existing_of(names, force)
        lines = [line for work in ahead for line in work.lines()]
        if repeated is not None:
            lines += [f"The scan: {line}" for line in unlike(origin, repeated.hashes, repeated.input_sha256)]
        for line in dict.fromkeys([*lines, *job.scan.notes, *_placed(names)]):
            say(line)
        if dry_run:
            costs = [work.cost() for work in ahead]
            for cost in costs:
                say(cost.line)
            return {"input": told["input"], "dry_run": True, **cost_facts(costs), "outputs": []}
        make_folder(names.run.parent)
        result = job.restore(ahead[0], tell, lambda k, work: KeptState(names.kept / str(k), {**told, **work.facts()}))
        result.run.update(told)
        page = _page()(result) if report else ""
        (names.kept / _WRITING).touch()
        files, notes = result.write(names, force, page)
        if names.bids is not None:
            write_derivatives(names, result, fields_of(path), job.scan.sha256, force)
        if dicom_out is not None and series is not None:
            notes += write_series(result, series, dicom_out)
            files.append(dicom_out)
    except InputError as error:
        raise InputError(names.untold(str(error))) from None
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt("Interrupted; the same command goes on from there.") from error
    shutil.rmtree(names.kept, ignore_errors=True)
    for line in notes:
        say(line)
    return {**result.run, "outputs": [str(f) for f in files]}


def _placed(names: ScanNames) -> list[str]:
    return [RAW] if in_raw_dataset(names) else []


def _page() -> Callable[[ScanRestoration], str]:
    from veriscale.workflows.scans.scan_report import scan_report_html  # a template engine, for those who want a report

    return scan_report_html
