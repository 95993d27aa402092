"""`veriscale restore`."""

import json
import time
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from veriscale.cli.console import meter
from veriscale.cli.options import number, takes_settings
from veriscale.cli.streams import streams


@takes_settings
def restore(
    *inputs: Path,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    device: str = "auto",
    format: str | None = None,
    quality: Annotated[int | None, number("quality", int)] = None,
    strip: Annotated[bool, Parameter(negative="")] = False,
    report: Annotated[bool, Parameter(negative="")] = False,
    skip_existing: Annotated[bool, Parameter(negative="")] = False,
    force: Annotated[bool, Parameter(negative="")] = False,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
    quiet: Annotated[bool, Parameter(negative="")] = False,
    repeat: Annotated[Path | None, Parameter(name="--from")] = None,
    max_pixels: Annotated[int | None, number("max_pixels", int)] = None,
    volume: Annotated[int | None, number("volume", int)] = None,
    guide: Annotated[list[str] | None, Parameter(negative="")] = None,
    another_patient: Annotated[bool, Parameter(negative="")] = False,
    dicom_out: Path | None = None,
    **given: Any,
) -> int:
    """Upscale photographs and scans, or undo any other measurement: files, or folders with their sub-folders.

    Parameters
    ----------
    inputs
        PNG, JPEG, TIFF, WebP, NPY, BMP, GIF, AVIF or JPEG 2000 files, folders of them, patterns in quotes such as
        'photos/*.jpg', scans (.nii, .nii.gz, folders of a DICOM series), or - for standard input, with --scale or
        --operator.
    output
        A file for one input, else a folder; beside the input by default. - for standard output, where one picture is
        made.
    device
        auto, cuda, mps or cpu.
    format
        png, jpeg, tiff, webp, npy, or keep for the input's kind (png where that is only read); by default as the
        output's name says, else png.
    quality
        Of JPEG and WebP results, 1 to 100; 95 and lossless by default.
    strip
        Leave out EXIF: camera, date, place.
    report
        Write a self-contained HTML page too.
    skip_existing
        Leave inputs alone whose results are all there; what no earlier run made of them with these settings is not
        replaced.
    force
        Replace existing results.
    dry_run
        Check everything, say what would be done and what it takes, and stop.
    as_json
        Print what was done as JSON on stdout.
    quiet
        No progress, no remarks; warnings are said all the same.
    repeat
        Take the settings of an earlier run's run.json; without inputs, its input too.
    max_pixels
        Largest picture that is read, a guard against decompression bombs; of a scan the voxels of one volume.
    volume
        Which volume of a scan that holds several, counted from 0.
    guide
        Of a scan: NAME=FILE, a registered scan of another modality that the prior's guides know, such as t1=t1.nii.gz;
        NAME=FOLDER for one that lies there under a name like the scan's; or edges=auto. Any number.
    another_patient
        Take guides whose DICOM headers tell another patient.
    dicom_out
        A new folder for a DICOM series derived of the one that is restored; of several positions of the dial, or with
        --samples, for folders of one each.
    """
    from veriscale.cli.remarks import Remarks
    from veriscale.errors import InputError
    from veriscale.imaging.read import MAX_PIXELS
    from veriscale.settings import Settings
    from veriscale.workflows.batch_door import open_batch
    from veriscale.workflows.scans.asked_guides import split_guides

    remarks = Remarks(quiet, plans=dry_run)
    done: list[dict[str, Any]] = []
    started = time.monotonic()
    with streams(inputs, output) as ways:
        if ways.writes and as_json:
            raise InputError("`--output` - is a picture on stdout, and so would be what `--json` says; choose one.")
        batch, jobs = open_batch(
            Settings(**given),
            ways.inputs,
            ways.output,
            guides=split_guides(guide or ()),
            another_patient=another_patient,
            repeat=repeat,
            device=device,
            say=lambda remark: remarks.hear(ways.named(remark)),
            format=format,
            quality=quality,
            strip=strip,
            report=report,
            force=force,
            skip_existing=skip_existing,
            dry_run=dry_run,
            max_pixels=MAX_PIXELS if max_pixels is None else max_pixels,
            volume=volume,
            dicom_out=dicom_out,
        )
        remarks.of = len(jobs)
        listed = not as_json and not (remarks.many and ways.results.isatty())
        with meter(quiet) as shown:

            def tell(what: str, part: int, of: int) -> None:
                shown(what, *((len(done) + len(remarks.failed), len(jobs)) if remarks.many else (part, of)))

            jobs = ways.checked(batch, jobs)
            for facts in batch.run_all(jobs, lambda failure: remarks.fail(ways.named(failure)), tell):
                done.append(facts)
                remarks.warn(facts)
                for picture in facts["outputs"][:1] if ways.writes else []:
                    ways.deliver(picture)
                for file in facts["outputs"] if listed and not ways.writes else []:
                    print(file, file=ways.results)
    if as_json:
        print(json.dumps(done, indent=2))
    return remarks.close(f"{len(done)} of {len(jobs)} done in {time.monotonic() - started:.0f} s.")
