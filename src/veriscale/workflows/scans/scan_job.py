"""One scan of a batch: read, restored in plane and through it, written."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from veriscale.errors import InputError
from veriscale.imaging.atomic import make_folder
from veriscale.imaging.geometry import Grid, respaced, spacing_of
from veriscale.imaging.nifti.read import MAX_VOXELS
from veriscale.imaging.slice_thickness import fields_of
from veriscale.imaging.volume import Volume
from veriscale.settings import positions
from veriscale.traversal.method import Tell
from veriscale.workflows.restoring.prior_restorer import PriorRestorer
from veriscale.workflows.scans.asked_scan import asked_scan
from veriscale.workflows.scans.derivatives import in_raw_dataset, write_derivatives
from veriscale.workflows.scans.in_plane import PreparedSlices, prepare_slices
from veriscale.workflows.scans.kept_state import KeptState
from veriscale.workflows.scans.reading import Scan, SeriesOrigin, read_scan
from veriscale.workflows.scans.scan_names import ScanNames, names_of
from veriscale.workflows.scans.scan_restoration import ScanRestoration, refuse_existing_of
from veriscale.workflows.scans.scan_room import check_room
from veriscale.workflows.scans.series_out import write_series
from veriscale.workflows.scans.through_plane import PreparedThrough, prepare_through

Prepared = PreparedSlices | PreparedThrough

TRAINED_ON_PHOTOGRAPHS = "photo"
_SQUARE = 1.5  # length over width; above, the pictures are stretched as few photographs are

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
        for name in ("certificate", "command", "crop", "ensemble"):
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

    def planned(self) -> list[Prepared]:
        """The steps, prepared on what stands for the results that they have of each other: zeros that take no room."""
        found, volume = list[Prepared](), self.volume
        for step in self.steps():
            found.append(step(volume))
            grid = found[-1].grid
            volume = replace(volume, samples=np.broadcast_to(np.float32(0), grid.shape), affine=grid.affine)
        return found

    def notes(self, planned: Sequence[Prepared]) -> list[str]:
        """Sentences about the scan, and about what the prior knows of such."""
        found, name = list(self.scan.notes), self.restorer.prior.card.name
        if name == TRAINED_ON_PHOTOGRAPHS:
            found.append(f"The prior {name} was trained on photographs: it has seen no scans and knows no millimetres.")
        aspect = max(map(self._aspect, planned))
        if aspect > _SQUARE:
            found.append(
                f"The prior has seen square pixels, and those of a plane here are {aspect:.1f} times as long as wide: "
                "look at the result with care."
            )
        return found

    def _aspect(self, step: Prepared) -> float:
        """Of the pixels in the planes that the denoiser sees, the most stretched of them."""
        through = float(spacing_of(step.grid.affine)[self._axis])
        edges = [float(s) for axis, s in enumerate(spacing_of(step.grid.affine)) if axis != self._axis]
        pairs = [edges] if isinstance(step, PreparedSlices) else [[through, edge] for edge in edges]
        return max(max(pair) / min(pair) for pair in pairs)

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
            found.append(lambda volume: prepare_through(by.prior, by.settings, volume, grid, thickness, by.noise))
        return found


def scan_job(restorer: PriorRestorer, path: Path, index: int | None = None, max_voxels: int = MAX_VOXELS) -> ScanJob:
    """Read a scan and what is asked of it.

    Args:
        restorer: by a prior.
        path: the scan.
        index: which volume of a file of several.
        max_voxels: what a file's header may announce at most for one volume.

    Raises:
        InputError: something about the scan or the settings.
    """
    scan, v = read_scan(path, index, max_voxels), restorer.settings
    volume, asked = scan.volume, asked_scan(restorer, path)
    stated = v.thickness
    if stated is not None and not 0 < stated < 1000:
        raise InputError(f"`--thickness` {stated:g} is no thickness; give millimetres above 0.")
    if stated is not None and scan.thickness not in (None, stated):
        raise InputError(f"`--thickness` is {stated:g} mm, and the scan itself says {scan.thickness:g}; leave it out.")
    inside = None if asked.spacing is None else volume.origin.orientation.values_inside(asked.spacing)
    grid = None if inside is None else respaced(volume.grid, inside)
    scan = replace(scan, notes=(*scan.notes, *asked.notes))
    return ScanJob(asked.restorer, scan, grid, scan.thickness or stated)


def restore_scan(
    restorer: PriorRestorer,
    path: Path,
    output: Path | None,
    *,
    index: int | None = None,
    max_voxels: int = MAX_VOXELS,
    dicom_out: Path | None = None,
    report: bool = False,
    force: bool = False,
    dry_run: bool = False,
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
        dicom_out: a new folder for a derived series of a DICOM series, or one for each dial position in it.
        report: write a page that shows the results beside the scan.
        force: replace what is there.
        dry_run: check everything, and stop.
        say: told what is to be said; nothing of it tells whose scan it is.
        tell: told after every part.

    Raises:
        InputError: something about the scan, the settings or the results.
    """
    job = scan_job(restorer, path, index, max_voxels)
    series = job.volume.origin.series if isinstance(job.volume.origin, SeriesOrigin) else None
    if dicom_out is not None and (series is None or dicom_out.exists()):
        what = "the scan is no DICOM series" if series is None else f"{dicom_out} is there already"
        raise InputError(f"`--dicom-out` writes a series derived of a DICOM series to a new folder, and {what}.")
    steps, planned, v = job.steps(), job.planned(), restorer.settings
    work = planned[0]
    spacing = job.spacing_of(work)
    names = names_of(path, output, sorted(positions(v.dial or "0")), v.samples or 0, spacing, report, index)
    refuse_existing_of(names, force)
    check_room(planned, names.run.parent)
    said = [*work.lines(), *job.notes(planned), *_placed(names)]
    if dry_run:
        said += [*work.costs(), *(line for step in planned[1:] for line in [*step.lines(), *step.costs()])]
    for line in said:
        say(line)
    if dry_run:
        return {"input": {}, "dry_run": True, "outputs": []}
    make_folder(names.run.parent)
    told = {"arguments": asdict(v), "input": {"sha256": job.scan.sha256, "volume": index}}
    result = work.restore(tell, KeptState(names.kept / "0", {**told, **work.facts()}))
    for number, prepare in enumerate(steps[1:], start=1):
        work, before = prepare(result.image), result.run
        for line in work.lines():
            say(line)
        result = work.restore(tell, KeptState(names.kept / str(number), {**told, **work.facts()}))
        result.run["before"] = before
    result.run.update(told)
    page = _page()(replace(result, measurement=job.volume)) if report else ""
    files, notes = result.write(names, force, page)
    if names.bids is not None:
        write_derivatives(names, result, fields_of(path), job.scan.sha256, force)
    if dicom_out is not None and series is not None:
        notes += write_series(result, series, dicom_out)
        files.append(dicom_out)
    shutil.rmtree(names.kept, ignore_errors=True)
    for line in notes:
        say(line)
    return {**result.run, "outputs": [str(f) for f in files]}


def _placed(names: ScanNames) -> list[str]:
    return [RAW] if in_raw_dataset(names) else []


def _page() -> Callable[[ScanRestoration], str]:
    from veriscale.workflows.scans.scan_report import scan_report_html  # a template engine, for those who want a report

    return scan_report_html
