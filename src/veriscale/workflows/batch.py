"""Many pictures with one restorer: what is there already, what is made, and what was done."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from veriscale.errors import InputError, about, nameless, scan_label
from veriscale.imaging.atomic import make_folder, unmade_on_failure
from veriscale.imaging.formats.registry import keeps_8_bits
from veriscale.imaging.read import MAX_PIXELS, read_photo
from veriscale.imaging.write import check_graded, check_quality
from veriscale.traversal.method import Tell, labelled
from veriscale.workflows.earlier_results import Origin, all_made, unlike
from veriscale.workflows.inputs import OF_SCANS
from veriscale.workflows.jobs import Job
from veriscale.workflows.journal import Recorded
from veriscale.workflows.peak_memory import peak_memory_mb
from veriscale.workflows.remark import Remark
from veriscale.workflows.restoring.prior_restorer import PriorRestorer
from veriscale.workflows.restoring.restoration import Page, named_from, output_names, refuse, result_suffix
from veriscale.workflows.restoring.restorer import Prepared, Restorer
from veriscale.workflows.scans.asked_guides import AskedGuides
from veriscale.workflows.scans.reading import takes_scan
from veriscale.workflows.scans.scan_run import restore_scan
from veriscale.workflows.tools.black_box import ToolError


@dataclass(frozen=True)
class Batch:
    """What is done with every input.

    Attributes:
        restorer: who does it.
        format: of the results: a format's name, or "keep" for the input's kind; what a named result's extension says,
            else "png", by default.
        quality: of JPEG and WebP results; 95 and lossless by default.
        strip: leave out EXIF.
        report: whether a page is written.
        force: replace what is there.
        skip_existing: leave inputs alone whose results are all there, made by an earlier run with these settings.
        dry_run: check everything, and stop.
        max_pixels: largest picture that is read.
        say: told remarks.
        repeated: the run that is repeated.
        volume: which one of a scan that holds several.
        dicom_out: a new folder for a series derived of a DICOM series.
        guides: which guides scans are restored with.
    """

    restorer: Restorer
    format: str | None = None
    quality: int | None = None
    strip: bool = False
    report: bool = False
    force: bool = False
    skip_existing: bool = False
    dry_run: bool = False
    max_pixels: int = MAX_PIXELS
    say: Callable[[Remark], None] = lambda remark: None
    repeated: Recorded | None = None
    volume: int | None = None
    dicom_out: Path | None = None
    guides: AskedGuides | None = None

    def __post_init__(self) -> None:
        check_quality(self.quality)

    def run(self, job: Job, tell: Tell = lambda phase, done, of: None, label: str = scan_label(1, 1)) -> dict[str, Any]:
        """Restore one input; returns the content of its run.json and the files written.

        Args:
            job: the input.
            tell: told after every evaluation.
            label: what remarks call it where it is a scan.

        Raises:
            InputError: something about the input or its results.
        """
        if takes_scan(job.path):
            return self._scan(job, label, tell)
        for name, given in {"volume": self.volume, "dicom-out": self.dicom_out, "guide": self.guides}.items():
            if given is not None:
                raise InputError(OF_SCANS.format(name))
        photo = read_photo(job.path, self.max_pixels)
        stripped = self.strip and photo.exif is not None
        if stripped:
            photo = replace(photo, exif=None)
        work = self.restorer.prepare(photo, job.path)
        stem = job.file.stem if job.file is not None else f"{job.name}_{work.suffix}"
        suffix = result_suffix(job.file, self.format, photo)
        check_graded(self.quality, Path(f"{stem}{suffix}"))
        masked = self.restorer.settings.certificate is not None
        if masked and (self.quality is not None or not keeps_8_bits(Path(f"result{suffix}"))):
            raise InputError(
                f"A certificate speaks of the picture as it is delivered, and {suffix} alters it; use .png."
            )
        names = output_names(job.folder, stem, work.dials, work.samples, suffix, masked)
        file = {"format": suffix, "quality": self.quality, "strip": stripped}
        origin = self._origin(job, work, file)
        if self.skip_existing and all_made(names.run, names.all(self.report), self.force, origin):
            self.say(Remark("done already, skipped.", job.path))
            return {"input": {"name": job.path.name}, "skipped": True, "outputs": []}
        # What is there of an incomplete set is made again where existing ones are skipped.
        refuse(names, self.report, self.force or self.skip_existing, job.path)
        first, *remarks = (line.strip() for line in work.lines())
        plan = [first.removeprefix(f"{job.path.name}: "), *(work.costs() if self.dry_run else [])]
        for remark in [
            *(Remark(p.strip(), job.path, plan=True) for p in plan),
            *(Remark(r, job.path) for r in [*remarks, *self._unlike_repeated(origin)]),
        ]:
            self.say(remark)
        if self.dry_run:
            return {"input": {"name": job.path.name}, "dry_run": True, "outputs": []}
        with unmade_on_failure(make_folder(job.folder)):  # refused before the work, not after it
            return self._restore(job, work, origin, stem, suffix, tell)

    def _scan(self, job: Job, label: str, tell: Tell) -> dict[str, Any]:
        if not isinstance(self.restorer, PriorRestorer):
            raise InputError("A tool is given photographs, and this is a scan; leave out `--command`.")
        photographs = {"format": self.format, "quality": self.quality, "strip": self.strip}
        for name, given in photographs.items():
            if given:
                raise InputError(f"`--{name}` is for photographs, and this is a scan; leave it out.")
        ways = {"force": self.force, "report": self.report, "dry_run": self.dry_run}
        repeated = self.repeated
        return restore_scan(
            self.restorer,
            job.path,
            job.file or (job.folder if job.folder != job.path.parent else None),
            index=self.volume if self.volume is not None or repeated is None else repeated.volume,
            max_voxels=self.max_pixels,
            guides=self.guides,
            dicom_out=self.dicom_out,
            say=lambda line: self.say(Remark(line, label, plan=self.dry_run)),
            tell=tell,
            skip_existing=self.skip_existing,
            repeated=repeated,
            **ways,
        )

    def _origin(self, job: Job, work: Prepared, file: dict[str, Any]) -> Origin:
        """What the results are made of, as their run.json will say it."""
        name = "-" if job.piped else named_from(job.path, job.folder)
        given = {"name": name, "sha256": hashlib.sha256(job.path.read_bytes()).hexdigest()}
        known = {"arguments": work.arguments(job.folder), "input": given, "file": file}
        return Origin(job.path, {**work.made_of, **known})

    def _unlike_repeated(self, origin: Origin) -> list[str]:
        """What is another than in the run that is repeated, and was not asked to be."""
        if self.repeated is None:
            return []
        return unlike(origin, self.repeated.hashes, self.repeated.input_sha256)

    def _restore(self, job: Job, work: Prepared, origin: Origin, stem: str, suffix: str, tell: Tell) -> dict[str, Any]:
        try:
            result = work.restore(tell)
        except ToolError as error:
            raise InputError(f"The tool failed: {error}") from error
        run = result.run
        run |= {k: origin.known[k] for k in ("arguments", "input", "file")}
        run["peak_memory_mb"] = peak_memory_mb()
        page = _page() if self.report else None
        force = self.force or self.skip_existing
        files, notes = result.write(job.folder, stem, suffix=suffix, page=page, force=force, quality=self.quality)
        for line in [*notes, *work.verdicts(result)]:
            self.say(Remark(line, job.path))
        return {**run, "outputs": [str(f) for f in files]}

    def run_all(
        self, jobs: Sequence[Job], failed: Callable[[Remark], None], tell: Tell = lambda phase, done, of: None
    ) -> Iterator[dict[str, Any]]:
        """Restore all inputs, one after the other; of several, one that cannot be used does not stop the others.

        Args:
            jobs: of `jobs_of`.
            failed: told which of several cannot be used, and why.
            tell: told after every evaluation.

        Raises:
            InputError: of a single input.
        """
        for number, job in enumerate(jobs, start=1):
            unnamed = takes_scan(job.path)  # names of scans are those of people
            name = f"{job.path.name} ({number} of {len(jobs)})" if len(jobs) > 1 else job.path.name
            label = scan_label(number, len(jobs)) if unnamed else name
            try:
                yield self.run(job, labelled(tell, label), label)
            except InputError as error:
                sentence = nameless(error, job.path, label) if unnamed else about(error, job.path)
                if len(jobs) == 1:
                    raise InputError(sentence) from error
                failed(Remark(sentence, label) if unnamed else Remark(str(error), job.path))


def _page() -> Page:
    from veriscale.workflows.restoring.reporting import report_html  # a template engine, for those who want a report

    return report_html
