"""`veriscale restore`."""

import json
import time
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from veriscale.cli.console import complain, meter, say, summary
from veriscale.cli.options import number, takes_settings
from veriscale.cli.streams import streams


@takes_settings
def restore(
    *inputs: Path,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    device: str = "auto",
    format: str = "png",
    report: Annotated[bool, Parameter(negative="")] = False,
    skip_existing: Annotated[bool, Parameter(negative="")] = False,
    force: Annotated[bool, Parameter(negative="")] = False,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
    quiet: Annotated[bool, Parameter(negative="")] = False,
    repeat: Annotated[Path | None, Parameter(name="--from")] = None,
    max_pixels: Annotated[int | None, number("max_pixels", int)] = None,
    **given: Any,
) -> int:
    """Upscale photographs, or undo any other measurement: files, or folders with their sub-folders.

    Parameters
    ----------
    inputs
        PNG, JPEG, TIFF, WebP or NPY files, folders of them, patterns in quotes such as 'photos/*.jpg', or - for
        standard input, with --scale or --operator.
    output
        A file for one input, else a folder; beside the input by default. - for standard output, where one picture is
        made.
    device
        auto, cuda, mps or cpu.
    format
        png, jpeg, tiff, webp, npy, or keep for the input's kind.
    report
        Write a self-contained HTML page too.
    skip_existing
        Leave inputs alone whose results are all there.
    force
        Replace existing results.
    dry_run
        Check everything, say what would be done and what it takes, and stop.
    as_json
        Print what was done as JSON on stdout.
    quiet
        No progress, no remarks.
    repeat
        Take the settings of an earlier run's run.json; without inputs, its input too.
    max_pixels
        Largest picture that is read, a guard against decompression bombs.
    """
    from veriscale.errors import InputError
    from veriscale.imaging.read import MAX_PIXELS
    from veriscale.settings import Settings
    from veriscale.workflows.batch import open_batch

    done: list[dict[str, Any]] = []
    failed: list[str] = []
    started = time.monotonic()
    with streams(inputs, output) as ways:
        if ways.writes and as_json:
            raise InputError("`--output` - is a picture on stdout, and so would be what `--json` says; choose one.")
        batch, jobs = open_batch(
            Settings(**given),
            ways.inputs,
            ways.output,
            repeat=repeat,
            device=device,
            say=lambda line: say(line, quiet),
            format=format,
            report=report,
            force=force,
            skip_existing=skip_existing,
            dry_run=dry_run,
            max_pixels=MAX_PIXELS if max_pixels is None else max_pixels,
        )
        with meter(quiet) as shown:
            jobs = ways.checked(batch, jobs)
            for facts in batch.run_all(jobs, lambda line: failed.append(complain(line)), shown):
                done.append(facts)
                if ways.writes:
                    ways.deliver(facts)
                elif not as_json:
                    for file in facts["outputs"]:
                        print(file)
    if as_json:
        print(json.dumps(done, indent=2))
    if len(jobs) > 1:
        say(f"{len(done)} of {len(jobs)} done in {time.monotonic() - started:.0f} s.", quiet)
    return summary(failed, len(jobs)) if failed else 0
