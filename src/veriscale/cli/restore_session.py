"""What `veriscale restore` does with its arguments, input by input."""

import hashlib
import os
import re
import resource
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from veriscale.cli.console import say
from veriscale.cli.restore_settings import Recorded, Settings
from veriscale.cli.restore_work import Work, prior_work, tool_work
from veriscale.diffusion.prior import Prior
from veriscale.errors import InputError
from veriscale.imaging.atomic import make_folder
from veriscale.imaging.formats.registry import format_of, is_picture, keeps_8_bits
from veriscale.imaging.photo import Photo
from veriscale.imaging.read import MAX_PIXELS, read_photo
from veriscale.trust.certificate import Certificate
from veriscale.workflows.inputs import collect
from veriscale.workflows.outputs import (
    Names,
    output_names,
    refuse_existing_results,
    refuse_input,
    suffix_of,
)
from veriscale.workflows.restoration import load_certified
from veriscale.workflows.result import Page
from veriscale.workflows.two_stages import Progress


@dataclass(frozen=True)
class Job:
    """One input and where its results go."""

    path: Path
    folder: Path
    stem: str | None  # of the results; made from the input's name when None
    suffix: str | None
    name: str  # what the stem is made from


@dataclass
class Session:
    """Settings and the loaded prior, shared by all inputs."""

    settings: Settings
    device: str
    format: str
    report: bool
    force: bool
    skip_existing: bool
    quiet: bool
    max_pixels: int | None
    folder: Path  # from which the operator's files are named
    certificate: Certificate | None = None
    repeated: Recorded | None = None
    loaded: Prior | None = field(default=None)

    def jobs(self, inputs: list[Path], output: Path | None) -> list[Job]:
        """All inputs, each with its place."""
        items, many = collect(inputs, output)
        if self.settings.score_files is not None and len({i.path.stem for i in items}) < len(items):
            raise InputError("Two inputs have one name, so that --score-files cannot tell them apart; rename one.")
        if many and output is not None and is_picture(output) and not output.is_dir():
            raise InputError(f"--output {output} names a picture, and there are several inputs; name a folder.")
        if output is not None and not many and output.suffix and not output.is_dir():
            format_of(output)
            return [Job(items[0].path, output.parent, output.stem, output.suffix, items[0].stem)]
        return [Job(i.path, i.path.parent if output is None else output / i.folder, None, None, i.stem) for i in items]

    def run(self, job: Job, dry_run: bool, progress: Progress) -> dict[str, Any]:
        """Restore one input; returns the content of its run.json and the files written.

        Raises:
            InputError: something about the input or its results.
        """
        v = self.settings
        photo = self._crop(read_photo(job.path, MAX_PIXELS if self.max_pixels is None else self.max_pixels), job.path)
        if v.command is None:
            work = prior_work(job.path, photo, self._prior(), v, self.certificate, self.folder)
        else:
            work = tool_work(job.path, photo, v, self.certificate)
        stem = job.stem or f"{job.name}_{work.suffix}"
        suffix = job.suffix or suffix_of(self.format, photo)
        if self.certificate is not None and not keeps_8_bits(Path(f"result{suffix}")):
            raise InputError(
                f"A certificate speaks of the picture as it is delivered, and {suffix} alters it; use .png."
            )
        names = output_names(job.folder, stem, work.dials, work.samples, suffix, self.certificate is not None)
        if self.skip_existing and all(p.exists() for p in names.all(self.report)):
            say(f"{job.path.name}: done already, skipped.", self.quiet)
            return {"input": {"name": job.path.name}, "skipped": True, "outputs": []}
        for target in names.all(self.report):
            refuse_input(target, job.path)
        if not self.skip_existing:  # what is there of an incomplete set is made again
            refuse_existing_results(names, self.report, self.force)
        for line in [*work.lines, *(work.costs if dry_run else [])]:
            say(line, self.quiet)
        if dry_run:
            return {"input": {"name": job.path.name}, "dry_run": True, "outputs": []}
        return self._restore(job, work, names, stem, suffix, progress)

    def _restore(
        self, job: Job, work: Work, names: Names, stem: str, suffix: str, progress: Progress
    ) -> dict[str, Any]:
        make_folder(names.run.parent)  # refused before the work, not after it
        result = work.restore(progress)
        result.run["arguments"] = {**msgspec.to_builtins(self.settings), **work.arguments(job.folder)}
        if self.settings.certificate is not None:
            result.run["arguments"]["certificate"] = _named_from(self.settings.certificate, job.folder)
        digest = hashlib.sha256(job.path.read_bytes()).hexdigest()
        if self.repeated and self.repeated.input.sha256 != digest:
            say(f"{job.path.name} is not the input of the repeated run: only its settings are.", self.quiet)
        result.run["input"] = {"name": _relative(job.path, job.folder), "sha256": digest}
        result.run["peak_memory_mb"] = peak_memory_mb()
        files, notes = result.write(
            job.folder,
            stem,
            suffix=suffix,
            page=_page() if self.report else None,
            force=self.force or self.skip_existing,
        )
        for note in [*notes, *(f"{job.path.name}: {line}" for line in work.verdicts(result))]:
            say(note, self.quiet)
        return {**result.run, "outputs": [str(f) for f in files]}

    def _prior(self) -> Prior:
        if self.loaded is None:
            self.loaded = load_certified(self.settings.prior, self.certificate, self.device)
            if self.repeated and self.repeated.prior and self.loaded.card.tensors_sha256 != self.repeated.prior.sha256:
                say("The prior is not the one of the repeated run: the result will differ.", self.quiet)
        return self.loaded

    def _crop(self, photo: Photo, path: Path) -> Photo:
        text = self.settings.crop
        if text is None:
            return photo
        match = re.fullmatch(r"(\d+),(\d+),(\d+),(\d+)", text)
        x, y, w, h = map(int, match.groups()) if match else (0, 0, 0, 0)
        if not w or not h or x + w > photo.width or y + h > photo.height:
            raise InputError(
                f"--crop {text} is not X,Y,W,H inside the {photo.width}×{photo.height} pixels of {path.name}."
            )
        alpha = None if photo.alpha is None else photo.alpha[y : y + h, x : x + w]
        return photo.with_pixels(photo.pixels[y : y + h, x : x + w], alpha)


def _page() -> Page:
    from veriscale.workflows.reporting import report_html  # a template engine, for those who want a report

    return report_html


def peak_memory_mb() -> int:
    """Largest resident memory of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1e6 if sys.platform == "darwin" else 1e3))


def _relative(path: Path, folder: Path) -> str:
    """A name that leads from the results to the input and tells nothing of the rest of the machine."""
    return os.path.relpath(path.resolve(), folder.resolve())


def _named_from(certificate: str, results: Path) -> str:
    """A certificate's file as seen from the results; one that is known by its name keeps it."""
    return _relative(Path(certificate), results) if Path(certificate).is_file() else certificate
