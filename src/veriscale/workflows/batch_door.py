"""The way in to many files: what is given becomes a batch and its jobs."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

from veriscale.diffusion.prior import Prior
from veriscale.errors import InputError
from veriscale.imaging.volume import Volume
from veriscale.physics.operator import Operator
from veriscale.runtime.device import Device
from veriscale.settings import Asked, Settings, as_kind, as_name, as_names, check_functions, takes_asked
from veriscale.traversal.method import Tell
from veriscale.workflows.batch import Batch
from veriscale.workflows.jobs import Job, jobs_of
from veriscale.workflows.journal import read_run
from veriscale.workflows.opening import PHOTOGRAPHS, SCANS, agreed, find_certificate, opened, usual_prior
from veriscale.workflows.remark import Remark
from veriscale.workflows.restoring.door import as_settings
from veriscale.workflows.restoring.prior_restorer import PriorRestorer
from veriscale.workflows.scans.asked_guides import asked_of, not_guiding
from veriscale.workflows.scans.reading import takes_scan


def open_batch(
    given: Settings,
    inputs: Sequence[str | Path],
    output: Path | None,
    *,
    prior: Prior | None = None,
    guides: Mapping[str, object] | None = None,
    another_patient: bool = False,
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
        guides, another_patient: as of `asked_guides`.
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
    if repeated is not None and prior is not None:
        repeated = replace(repeated, prior=None)  # another one, loaded, in its place
    settings = agreed(given, held, repeated)
    if run is not None and (run.input is None or run.input.name == "-") and not inputs:
        if run.input is None and run.input_sha256 is not None:
            raise InputError("The repeated run is of a scan, whose name it does not tell; give the scan again.")
        whence = "in Python" if run.input is None else "from standard input"
        raise InputError(f"The repeated run took its picture {whence}; give the picture again.")
    if run is not None and run.hashes["`--guide`"] is not None and not guides:
        raise InputError("The repeated run had guides, whose files it does not tell; give them again with `--guide`.")
    earlier = [] if run is None or run.input is None else [run.input]
    jobs = jobs_of(inputs or earlier, output, lambda line: say(Remark(line)))
    if ways.get("dicom_out") is not None and len(jobs) > 1:
        raise InputError("`--dicom-out` is a folder for what is derived of one series, and there are several inputs.")
    if settings.score_files is not None and len({j.path.stem for j in jobs}) < len(jobs):
        raise InputError("Two inputs have one name, so that `--score-files` cannot tell them apart; rename one.")
    kinds = {takes_scan(job.path) for job in jobs}
    if len(kinds) > 1 and (settings.prior, prior, settings.command, held) == (None, None, None, None):
        raise InputError(
            f"There are photographs and scans, which have priors of their own, {PHOTOGRAPHS} and {SCANS}; restore them "
            "in turn, or name a `--prior`."
        )
    default = usual_prior(kinds == {True}, guides)
    restorer = opened(settings, held, prior, device, beside if given.operator is None else Path(), default)
    asked = asked_of(restorer, guides or {}, another_patient)
    if asked is not None and len(jobs) > 1:
        kept = not_guiding([job.path for job in jobs], asked, lambda line: say(Remark(line)))
        jobs = [job for job in jobs if job.path in kept]
    for line in restorer.remarks:
        say(Remark(line))
    return Batch(restorer, say=say, repeated=run, guides=asked, **ways), jobs


@takes_asked
def restore_files(
    inputs: Sequence[str | os.PathLike[str]] | str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None,
    prior: Prior | str | os.PathLike[str] | None = None,
    *,
    certificate: str | os.PathLike[str] | None = None,
    guides: Mapping[str, str | os.PathLike[str] | Volume] | None = None,
    another_patient: bool = False,
    repeat: str | os.PathLike[str] | None = None,
    device: Device = "auto",
    format: str | None = None,
    quality: int | None = None,
    strip: bool = False,
    report: bool = False,
    index: int | None = None,
    dicom_out: str | os.PathLike[str] | None = None,
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
        guides, another_patient: as of `restore`; of a folder, one is found for each scan.
        repeat: the run.json of an earlier run, whose settings are taken.
        device: "auto", "cuda", "mps" or "cpu"; that of a prior that is loaded already.
        format: "png", "jpeg", "tiff", "webp", "npy", or "keep" for the input's kind ("png" where that is only read); by
            default as the output's name says, else "png".
        quality: of JPEG and WebP results, 1 to 100; 95 and lossless by default.
        strip: leave out EXIF: camera, date, place.
        report: write a self-contained HTML page too.
        index: of a scan in a file of several volumes, which one is taken, counted from 0.
        dicom_out: of a DICOM series, a new folder for a series derived of it.
        force: replace existing results.
        skip_existing: leave inputs alone whose results are all there; what no earlier run made of them with these
            settings is not replaced.
        say: told remarks, and of several inputs the sentence about one that cannot be used.
        progress: told after every evaluation of a network over a picture.
        asked: settings as of `restore`.

    Returns:
        The content of every run.json, with the files that were written.

    Raises:
        InputError: a setting cannot be used, or the only input.
    """
    check_functions(say=say, progress=progress)
    held = None if certificate is None else as_name("certificate", certificate)
    given = replace(as_settings(asked), certificate=held)
    if isinstance(prior, str | os.PathLike):
        given, prior = replace(given, prior=os.fspath(prior)), None
    batch, jobs = open_batch(
        given,
        as_names("inputs", inputs),
        None if output is None else Path(as_name("output", output)),
        prior=prior,
        guides=guides,
        another_patient=another_patient,
        repeat=None if repeat is None else Path(as_name("repeat", repeat)),
        device=device,
        say=lambda remark: say(str(remark)),
        format=format,
        quality=quality,
        strip=strip,
        report=report,
        volume=None if index is None else as_kind("index", index, int),
        dicom_out=None if dicom_out is None else Path(as_name("dicom_out", dicom_out)),
        force=force,
        skip_existing=skip_existing,
    )
    operator = asked.get("operator")
    if isinstance(operator, Operator) and isinstance(batch.restorer, PriorRestorer):
        batch = replace(batch, restorer=replace(batch.restorer, operator=operator))
    return list(batch.run_all(jobs, lambda failure: say(str(failure)), progress))
