"""Many pictures with one restorer: which files, where results go, what is there already, and what was done."""

import glob
import hashlib
import json
import os
import resource
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Unpack

from veriscale.diffusion.prior import Prior
from veriscale.errors import InputError, about
from veriscale.imaging.atomic import make_folder
from veriscale.imaging.formats.registry import EXTENSIONS, format_of, is_picture, keeps_8_bits, unread
from veriscale.imaging.read import MAX_PIXELS, read_photo
from veriscale.imaging.write import check_graded, check_quality
from veriscale.physics.operator import Operator
from veriscale.runtime.device import Device
from veriscale.settings import Asked, Settings, takes_asked
from veriscale.traversal.method import Tell
from veriscale.workflows.journal import read_run
from veriscale.workflows.opening import agreed, find_certificate, opened
from veriscale.workflows.remark import Remark
from veriscale.workflows.restoring.door import as_settings
from veriscale.workflows.restoring.prior_restorer import PriorRestorer
from veriscale.workflows.restoring.restoration import Names, Page, output_names, refuse, result_suffix
from veriscale.workflows.restoring.restorer import Prepared, Restorer
from veriscale.workflows.tools.black_box import ToolError


@dataclass(frozen=True)
class Item:
    """A file, where its results go below the output folder, and the stem of their names."""

    path: Path
    folder: Path
    stem: str


def collect(
    inputs: Sequence[str | Path], output: Path | None = None, say: Callable[[str], None] = lambda line: None
) -> tuple[list[Item], bool]:
    """The image files among the inputs; folders are searched with their sub-folders, but not for earlier results.

    Two files of one folder that differ in extension alone get it into their stem, as in cat_jpg.

    Args:
        inputs: files, folders, and patterns with *, ? or [ for names that a shell has left as they are.
        output: where results go; what lies in it is not taken for input.
        say: told what a folder leaves out.

    Returns:
        The items, and whether there is more than a single file.

    Raises:
        InputError: there is no input, one does not exist, a folder holds no image, a pattern matches nothing, or two
            would have one result.
    """
    if not inputs:
        raise InputError("No input is given; name a picture or a folder.")
    found: dict[Path, Path] = {}
    paths = [path for given in inputs for path in _matching(Path(given))]
    for given in paths:
        if given.is_dir():
            results = _results(given)
            files = [f for f in sorted(given.rglob("*")) if (is_picture(f) or unread(f)) and f.is_file()]
            files = [f for f in files if not _inside(f, output, given)]
            pictures = [f for f in files if is_picture(f) and f not in results]
            if left := Counter(f.suffix.lower() for f in files if unread(f)):
                kinds = ", ".join(f"{n} {suffix}" for suffix, n in sorted(left.items()))
                say(f"Folder {given}: {left.total()} files of kinds that cannot be read are left out: {kinds}.")
            if not pictures:
                raise InputError(f"Folder {given} holds no image; known: {', '.join(EXTENSIONS)}.")
            found |= {f: f.parent.relative_to(given) for f in pictures}
        elif given.exists():
            found[given] = Path()
        else:
            raise InputError(f"{given} does not exist.")

    def place(path: Path) -> Path:
        return path.parent if output is None else found[path]

    shared = Counter((place(p), p.stem) for p in found)
    items = [
        Item(p, f, p.stem if shared[place(p), p.stem] == 1 else p.name.replace(".", "_")) for p, f in found.items()
    ]
    names = Counter((place(i.path), i.stem) for i in items)
    for item in items:
        if names[place(item.path), item.stem] > 1:
            raise InputError(f"{item.path} and another input would have the same result; restore them one by one.")
    return items, len(paths) > 1 or any(path.is_dir() for path in paths)


@dataclass(frozen=True)
class Job:
    """One input and where its results go."""

    path: Path
    folder: Path
    name: str  # what the results' stem is made from
    file: Path | None = None  # the result, where the user named it
    piped: bool = False  # whether the path stands for standard input


def jobs_of(inputs: Sequence[str | Path], output: Path | None, say: Callable[[str], None]) -> list[Job]:
    """All inputs, each with its place.

    Raises:
        InputError: as `collect`, or the output does not suit the inputs.
    """
    items, many = collect(inputs, output, say)
    if many and output is not None and is_picture(output) and not output.is_dir():
        raise InputError(f"`--output` {output} names a picture, and there are several inputs; name a folder.")
    if output is not None and not many and output.suffix and not output.is_dir():
        format_of(output)
        return [Job(items[0].path, output.parent, items[0].stem, output)]
    return [Job(i.path, i.path.parent if output is None else output / i.folder, i.stem) for i in items]


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
        skip_existing: leave inputs alone whose results are all there, made by an earlier run.
        dry_run: check everything, and stop.
        max_pixels: largest picture that is read.
        say: told remarks.
        repeated: sha256 of the input of the run that is repeated.
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
    repeated: str | None = None

    def __post_init__(self) -> None:
        check_quality(self.quality)

    def run(self, job: Job, tell: Tell = lambda phase, done, of: None) -> dict[str, Any]:
        """Restore one input; returns the content of its run.json and the files written.

        Raises:
            InputError: something about the input or its results.
        """
        photo = read_photo(job.path, self.max_pixels)
        if self.strip:
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
        if self.skip_existing and _all_made(names, self.report, self.force):
            self.say(Remark("done already, skipped.", job.path))
            return {"input": {"name": job.path.name}, "skipped": True, "outputs": []}
        # What is there of an incomplete set is made again where existing ones are skipped.
        refuse(names, self.report, self.force or self.skip_existing, job.path)
        first, *remarks = (line.strip() for line in work.lines())
        plan = [first.removeprefix(f"{job.path.name}: "), *(work.costs() if self.dry_run else [])]
        for remark in [
            *(Remark(p.strip(), job.path, plan=True) for p in plan),
            *(Remark(r, job.path) for r in remarks),
        ]:
            self.say(remark)
        if self.dry_run:
            return {"input": {"name": job.path.name}, "dry_run": True, "outputs": []}
        return self._restore(job, work, names, stem, suffix, tell)

    def _restore(self, job: Job, work: Prepared, names: Names, stem: str, suffix: str, tell: Tell) -> dict[str, Any]:
        make_folder(names.run.parent)  # refused before the work, not after it
        try:
            result = work.restore(tell)
        except ToolError as error:
            raise InputError(f"The tool failed: {error}") from error
        run = result.run
        run["arguments"] = {**asdict(self.restorer.settings), **work.arguments(job.folder)}
        if self.restorer.settings.certificate is not None:
            run["arguments"]["certificate"] = _named_from(self.restorer.settings.certificate, job.folder)
        digest = hashlib.sha256(job.path.read_bytes()).hexdigest()
        if self.repeated not in (None, digest):
            self.say(Remark("not the input of the repeated run: only its settings are.", job.path))
        run["input"] = {"name": "-" if job.piped else _relative(job.path, job.folder), "sha256": digest}
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
            label = f"{job.path.name} ({number} of {len(jobs)})" if len(jobs) > 1 else job.path.name
            try:
                yield self.run(job, _labelled(tell, label))
            except InputError as error:
                if len(jobs) == 1:
                    raise InputError(about(error, job.path)) from error
                failed(Remark(str(error), job.path))


def open_batch(
    given: Settings,
    inputs: Sequence[str | Path],
    output: Path | None,
    *,
    prior: Prior | None = None,
    repeat: Path | None = None,
    device: Device = "auto",
    say: Callable[[Remark], None] = lambda remark: None,
    **ways: Any,
) -> tuple[Batch, list[Job]]:
    """From what is given to a batch: given over certificate over repeated run over default.

    Args:
        given: settings.
        inputs: files and folders; that of the repeated run where there are none.
        output: a file for one input, else a folder; beside the inputs where there is none.
        prior: loaded.
        repeat: a run.json.
        device: "auto", "cuda", "mps" or "cpu".
        say: told remarks.
        ways: the other fields of `Batch`.

    Returns:
        The batch and its jobs.

    Raises:
        InputError: the run.json, an input or the output cannot be used, or as `open_restorer`.
    """
    run = None if repeat is None else read_run(repeat)
    # Files named by an operator or a certificate are looked for from where they were written down.
    beside = Path() if repeat is None else repeat.parent
    held, repeated = None, None if run is None else run.settings
    if given.certificate is not None:
        held = find_certificate(given.certificate)
    elif repeated is not None and repeated.certificate is not None:
        held = find_certificate(repeated.certificate, beside)
        if (beside / repeated.certificate).is_file():
            repeated = replace(repeated, certificate=str(beside / repeated.certificate))
    settings = agreed(given, held, repeated)
    if run is not None and run.input.name == "-" and not inputs:
        raise InputError("The repeated run took its picture from standard input; give the picture again.")
    jobs = jobs_of(inputs or ([] if run is None else [run.input]), output, lambda line: say(Remark(line)))
    if settings.score_files is not None and len({j.path.stem for j in jobs}) < len(jobs):
        raise InputError("Two inputs have one name, so that `--score-files` cannot tell them apart; rename one.")
    restorer = opened(settings, held, prior, device, beside if given.operator is None else Path())
    now = restorer.prior.card.tensors_sha256 if isinstance(restorer, PriorRestorer) else None
    if run is not None and now is not None and run.prior_sha256 not in (None, now):
        say(Remark("The prior is not the one of the repeated run: the result will differ."))
    for line in restorer.remarks:
        say(Remark(line))
    batch = Batch(restorer, say=say, repeated=None if run is None else run.input_sha256, **ways)
    return batch, jobs


@takes_asked
def restore_files(
    inputs: Sequence[str | os.PathLike[str]] | str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None,
    prior: Prior | str | os.PathLike[str] | None = None,
    *,
    certificate: str | os.PathLike[str] | None = None,
    repeat: str | os.PathLike[str] | None = None,
    device: Device = "auto",
    format: str | None = None,
    quality: int | None = None,
    strip: bool = False,
    report: bool = False,
    force: bool = False,
    skip_existing: bool = False,
    say: Callable[[str], None] = lambda line: None,
    progress: Tell = lambda phase, done, of: None,
    **asked: Unpack[Asked],
) -> list[dict[str, Any]]:
    """Restore files, or folders with their sub-folders, as the command does; results are written as it names them.

    Args:
        inputs: files, folders and patterns such as "photos/*.jpg"; where `repeat` is given, none stands for the input
            of that run.
        output: a file for one input, else a folder; beside the input by default.
        prior: name, path or a loaded prior.
        certificate: a file of `calibrate` or a name.
        repeat: the run.json of an earlier run, whose settings are taken.
        device: "auto", "cuda", "mps" or "cpu"; that of a prior that is loaded already.
        format: "png", "jpeg", "tiff", "webp", "npy", or "keep" for the input's kind ("png" where that is only read); by
            default as the output's name says, else "png".
        quality: of JPEG and WebP results, 1 to 100; 95 and lossless by default.
        strip: leave out EXIF: camera, date, place.
        report: write a self-contained HTML page too.
        force: replace existing results.
        skip_existing: leave inputs alone whose results are all there; what no earlier run made is not replaced.
        say: told remarks, and of several inputs the sentence about one that cannot be used.
        progress: told after every evaluation of a network over a picture.
        asked: settings as of `restore`.

    Returns:
        The content of every run.json, with the files that were written.

    Raises:
        InputError: a setting cannot be used, or the only input.
    """
    given = replace(as_settings(asked), certificate=None if certificate is None else os.fspath(certificate))
    if isinstance(prior, str | os.PathLike):
        given = replace(given, prior=os.fspath(prior))
    several = [inputs] if isinstance(inputs, str | os.PathLike) else inputs
    batch, jobs = open_batch(
        given,
        [Path(p) for p in several],
        None if output is None else Path(output),
        prior=prior if isinstance(prior, Prior) else None,
        repeat=None if repeat is None else Path(repeat),
        device=device,
        say=lambda remark: say(str(remark)),
        format=format,
        quality=quality,
        strip=strip,
        report=report,
        force=force,
        skip_existing=skip_existing,
    )
    operator = asked.get("operator")
    if isinstance(operator, Operator) and isinstance(batch.restorer, PriorRestorer):
        batch = replace(batch, restorer=replace(batch.restorer, operator=operator))
    return list(batch.run_all(jobs, lambda failure: say(str(failure)), progress))


def _matching(given: Path) -> list[Path]:
    """What a pattern stands for, sorted; a name that is there stands for itself."""
    if given.exists() or not glob.has_magic(str(given)):
        return [given]
    if not (found := sorted(map(Path, glob.glob(str(given), recursive=True)))):
        raise InputError(f"No file matches {given}; check the folder and the pattern.")
    return found


def _labelled(tell: Tell, label: str) -> Tell:
    return lambda what, done, of: tell(f"{label}: {what}", done, of)


def _page() -> Page:
    from veriscale.workflows.restoring.reporting import report_html  # a template engine, for those who want a report

    return report_html


def peak_memory_mb() -> int:
    """Largest resident memory of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1e6 if sys.platform == "darwin" else 1e3))


def _inside(path: Path, output: Path | None, given: Path) -> bool:
    # An output folder below the input holds results; the input folder itself may be named as output.
    below = (
        output is not None and output.resolve() != given.resolve() and output.resolve().is_relative_to(given.resolve())
    )
    return below and output is not None and path.resolve().is_relative_to(output.resolve())


def _results(folder: Path) -> set[Path]:
    """What earlier runs wrote here, by their run.json."""
    return {path for run in folder.rglob("*.run.json") for path in _made(run)}


def _made(run: Path) -> set[Path]:
    """What the run of a run.json wrote; nothing where there is none of ours."""
    try:
        return {run.parent / str(name) for name in json.loads(run.read_text(encoding="utf-8"))["outputs"]}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return set()  # not one of ours: it claims nothing


def _all_made(names: Names, report: bool, force: bool) -> bool:
    """Whether an earlier run has left everything here; what is here and is not its own is refused without force."""
    made, files = _made(names.run), names.all(report)
    there = [p for p in files if p.exists()]
    foreign = [p for p in there if p not in made]
    if foreign and not force:
        raise InputError(
            f"{foreign[0]} exists already, and {names.run.name} does not say that veriscale made it; add `--force` "
            "(force=True) to replace it, or choose another name"
        )
    return len(there) == len(files) and not foreign


def _relative(path: Path, folder: Path) -> str:
    """A name that leads from the results to the input and tells nothing of the rest of the machine."""
    return os.path.relpath(path.resolve(), folder.resolve())


def _named_from(certificate: str, results: Path) -> str:
    """A certificate's file as seen from the results; one that is known by its name keeps it."""
    return _relative(Path(certificate), results) if Path(certificate).is_file() else certificate
