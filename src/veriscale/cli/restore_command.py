"""`veriscale restore`."""

import json
import time
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from veriscale.cli.console import complain, meter, named, say


def restore(
    *inputs: Path,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    prior: str | None = None,
    scale: int | None = None,
    operator: str | None = None,
    noise: str | None = None,
    dial: str | None = None,
    path: str | None = None,
    samples: int | None = None,
    anchor: str | None = None,
    posterior: str | None = None,
    preset: str | None = None,
    consistent: Annotated[bool, Parameter(negative="")] = False,
    sampler: str | None = None,
    steps: int | None = None,
    seed: int | None = None,
    certificate: str | None = None,
    alpha: str | None = None,
    command: str | None = None,
    score_files: str | None = None,
    timeout: float | None = None,
    crop: str | None = None,
    device: str = "auto",
    format: str = "png",
    report: Annotated[bool, Parameter(negative="")] = False,
    skip_existing: Annotated[bool, Parameter(negative="")] = False,
    force: Annotated[bool, Parameter(negative="")] = False,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
    quiet: Annotated[bool, Parameter(negative="")] = False,
    repeat: Annotated[Path | None, Parameter(name="--from")] = None,
    max_pixels: int | None = None,
) -> int:
    """Upscale photographs, or undo any other measurement: files, or folders with their sub-folders.

    Parameters
    ----------
    inputs
        PNG, JPEG, TIFF, WebP or NPY files, or folders of them.
    output
        A file for one input, else a folder; beside the input by default.
    prior
        A name that `veriscale priors` lists, or a file; that of the certificate, else `photo`, by default.
    scale
        Factor; the prior's largest by default.
    operator
        What made the measurement, instead of --scale: downsample, blur, inpaint, sensing, fourier, slice, hdr,
        nonlinear-blur or jpeg with its keys, as inpaint:keep=0.5; several as 'A + B'; or a TOML file. The sidecar that
        `degrade` wrote says it by itself.
    noise
        Standard deviation of the measurement's noise in [0, 1] units, poisson:peak=30, rician:0.05, or auto; 0 by
        default.
    dial
        0 is closest on average, 1 looks real; several as 0,0.5,1.
    path
        How positions between 0 and 1 are reached: renoise or interpolate.
    samples
        Number of draws at dial 1, for their mean and spread.
    anchor
        First stage: mean (the prior's encoder), fast or paper; what fits the measurement by default.
    posterior
        Second stage: conditional, proximal, dps or covariance; likewise.
    preset
        The paper's settings for a task: map-rps-sr4, map-rps-inpainting, map-rps-denoising, map-rps-blur.
    consistent
        Move the result until what is left of the measurement is what its noise explains.
    sampler
        heun, dpm-solver++ or ancestral.
    steps
        Steps of the sampler.
    seed
        Of all noise; 0 by default.
    certificate
        A file of `veriscale calibrate`, or a name that `veriscale priors` lists: it gives the settings that are left
        open, and a mask of what can be trusted.
    alpha
        Risk level of the mask, fixed before the result is seen; 0.05 for the loss area, else 0.1, by default.
    command
        The tool of the certificate, instead of a prior: 'tool {in} {out}'.
    score_files
        Your own maps, where the certificate's score is files: a path with {stem} for the picture's name.
    timeout
        Seconds a tool may take for one run; 600 by default.
    crop
        Restore a part only: X,Y,W,H in pixels of the input.
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
    import msgspec

    from veriscale.cli.restore_session import Session
    from veriscale.cli.restore_settings import Settings, read_run, with_certificate
    from veriscale.errors import InputError
    from veriscale.workflows.certified import find_certificate

    given = {
        "prior": prior,
        "scale": scale,
        "operator": operator,
        "noise": noise,
        "dial": dial,
        "path": path,
        "samples": samples,
        "anchor": anchor,
        "posterior": posterior,
        "preset": preset,
        "consistent": consistent or None,
        "sampler": sampler,
        "steps": steps,
        "seed": seed,
        "certificate": certificate,
        "alpha": alpha,
        "command": command,
        "score_files": score_files,
        "timeout": timeout,
        "crop": crop,
    }
    repeated = None if repeat is None else read_run(repeat)
    # Files named by an operator or a certificate are looked for from where they were written down.
    beside = Path() if repeat is None else repeat.parent
    written = beside if operator is None else Path()
    # What is given on the command line wins over the certificate and the repeated run, these over the defaults.
    base = Settings() if repeated is None else repeated.arguments
    # A program to run is taken from nobody but the user: a run.json or a certificate may be a stranger's.
    base = msgspec.structs.replace(base, command=None)
    held = None
    if certificate is not None:
        held = find_certificate(certificate)
        base = with_certificate(base, held)
    elif base.certificate is not None:
        held = find_certificate(base.certificate, beside)
        if (beside / base.certificate).is_file():
            base = msgspec.structs.replace(base, certificate=str(beside / base.certificate))
    if held is None and (alpha, command, score_files) != (None, None, None):
        raise InputError("--alpha, --command and --score-files belong to a --certificate, and none is given.")
    if held is not None and held.command is not None and command is None:
        raise InputError(f"The certificate is for the tool {held.command!r}; if you trust it, give it as --command.")
    if timeout is not None and (command is None or timeout <= 0):
        raise InputError("--timeout is the seconds that a --command may take, a number above 0.")
    if held is not None and alpha is not None:
        held.threshold(alpha)  # a level that is none is refused before the work
    if (scale is None) != (operator is None):  # they say the same thing: one given takes the place of both
        base = msgspec.structs.replace(base, scale=None, operator=None)
    settings = msgspec.structs.replace(base, **{k: v for k, v in given.items() if v is not None})
    if held is not None:
        held.threshold(settings.alpha or held.usual_alpha)  # a level that is none is refused before the work
    files = list(inputs)
    if repeat is not None and repeated is not None and not files:
        files = [repeat.parent / repeated.input.name]
    if not files:
        raise InputError("No input is given; name a picture or a folder.")
    session = Session(
        settings, device, format, report, force, skip_existing, quiet, max_pixels, written, held, repeated
    )
    jobs = session.jobs(files, output)
    done: list[dict[str, Any]] = []
    failed: list[str] = []
    started = time.monotonic()
    with meter(quiet) as shown:
        for number, job in enumerate(jobs, start=1):
            label = f"{job.path.name} ({number} of {len(jobs)})" if len(jobs) > 1 else job.path.name
            try:
                facts = session.run(job, dry_run, lambda what, k, n: shown(f"{label}: {what}", k, n))  # noqa: B023
            except InputError as error:
                if len(jobs) == 1:
                    raise
                failed.append(named(error, job.path))
                complain(failed[-1])
                continue
            done.append(facts)
            if not as_json:
                for file in facts["outputs"]:
                    print(file)
    if as_json:
        print(json.dumps(done, indent=2))
    if len(jobs) > 1:
        say(f"{len(done)} of {len(jobs)} done in {time.monotonic() - started:.0f} s.", quiet)
    if failed:
        complain(f"{len(failed)} of {len(jobs)} inputs failed: " + " | ".join(failed))
        return 2
    return 0
