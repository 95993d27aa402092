"""`veriscale calibrate`."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from veriscale.cli.console import meter, say


def calibrate(
    directory: Path,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    prior: str | None = None,
    command: str | None = None,
    scale: int | None = None,
    operator: str | None = None,
    noise: str | None = None,
    dial: str = "0",
    path: str | None = None,
    samples: int | None = None,
    sampler: str | None = None,
    steps: int | None = None,
    seed: int = 0,
    score: str | None = None,
    score_files: str | None = None,
    loss: str = "area",
    tau: float | None = None,
    tile: int | None = None,
    discrepancy: str = "pointwise",
    mode: str = "mean",
    delta: float | None = None,
    alphas: str | None = None,
    leaked: int = 0,
    unit: str | None = None,
    group: Annotated[bool, Parameter(negative="")] = False,
    skip_bad: Annotated[bool, Parameter(negative="")] = False,
    timeout: float | None = None,
    device: str = "auto",
    force: Annotated[bool, Parameter(negative="")] = False,
    quiet: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Make a certificate: how far a prior, or any tool, can be trusted on photographs like those of a folder.

    Each photograph serves as truth: its middle is degraded, restored and compared. A run that was cut off goes on where
    it was.

    Parameters
    ----------
    directory
        A folder of photographs of the kind that will be restored, none of them trained on.
    output
        The certificate, a JSON file.
    prior
        A name or a file; `photo` by default.
    command
        Instead of a prior, any program that turns a picture file into a larger one: 'tool {in} {out}'. No shell.
    scale
        Factor; the prior's largest by default.
    operator
        What made the measurements, instead of --scale.
    noise
        Of the measurements: a standard deviation in [0, 1] units, or a model; 0 by default.
    dial
        Of the certified picture.
    path
        renoise or interpolate.
    samples
        Draws at dial 1 for the score variance, or runs of a tool; 8 by default where the score needs them.
    sampler
        heun, dpm-solver++ or ancestral.
    steps
        Steps of the sampler.
    seed
        Of all noise.
    score
        Where the result is less trustworthy: predictor, variance, perturbed, gradient or files, with keys as in
        variance:smooth=2; the prior's predictor where it has one, gradient for a tool.
    score_files
        Your own maps for the score files: a path with {stem} for the picture's name.
    loss
        area (share of the picture that is trusted and off by more than tau), sup (worst trusted pixel), tile-mean,
        recall or violation.
    tau
        From which discrepancy on a pixel is bad; 0.1 by default.
    tile
        Side of the tiles of tile-mean; 64 by default.
    discrepancy
        pointwise, lab, neighbourhood or semantic.
    mode
        mean, pac or pac-uniform.
    delta
        With which probability the calibration of a pac mode may fail.
    alphas
        The levels of pac-uniform, as 0.02,0.05.
    leaked
        How many of the photographs may have been trained on, it is not known which.
    unit
        Size of the result that the promise is about, cut from the middle: 320x320; what all photographs have
        by default.
    group
        One promise about all pictures of a sub-folder together.
    skip_bad
        Go on without photographs that cannot be read or are too small.
    timeout
        Seconds a tool may take for one run; 600 by default.
    device
        auto, cuda, mps or cpu.
    force
        Replace an existing certificate.
    quiet
        No progress, no remarks.
    """
    from veriscale.errors import InputError
    from veriscale.imaging.atomic import refuse_existing
    from veriscale.workflows.calibration import calibrate as make_certificate
    from veriscale.workflows.request import parse_dials
    from veriscale.workflows.restoration import load_prior
    from veriscale.workflows.restorers import TIMEOUT

    refuse_existing(output, force)
    dials = parse_dials(dial)
    if len(dials) > 1:
        raise InputError(f"--dial {dial}: a certificate is for one position; give one.")
    loaded = None if command is not None and prior is None else load_prior(prior or "photo", device)
    with meter(quiet) as shown:
        certificate = make_certificate(
            directory,
            output,
            prior=loaded,
            command=command,
            scale=scale,
            operator=operator,
            noise=noise,
            dial=dials[0],
            path=path,
            samples=samples,
            sampler=sampler,
            steps=steps,
            seed=seed,
            score=score,
            score_files=score_files,
            loss=loss,
            tau=tau,
            tile=tile,
            discrepancy=discrepancy,
            mode=mode,
            delta=delta,
            alphas=[w.strip() for w in alphas.split(",")] if alphas else (),
            leaked=leaked,
            unit=unit,
            group=group,
            skip_bad=skip_bad,
            timeout=TIMEOUT if timeout is None else timeout,
            force=force,
            progress=shown,
            tell=lambda line: say(line, quiet),
        )
    level = next(iter(certificate.binding.declared), certificate.usual_alpha)
    infeasible = certificate.infeasible(level)
    if infeasible:
        say(infeasible, quiet)
    else:
        share = float(certificate.shares(certificate.threshold(level)).mean())
        say(f"At alpha {level} about {share:.0%} of the {certificate.binding.n} units' pixels are trusted.", quiet)
    print(output)
    return 0
