"""`veriscale calibrate`."""

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from veriscale.cli.console import complain, meter, say
from veriscale.cli.options import number, takes_settings


@takes_settings
def calibrate(
    directory: Path,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    score: str | None = None,
    loss: str = "area",
    tau: float | None = None,
    tile: Annotated[int | None, number("tile", int)] = None,
    discrepancy: str = "pointwise",
    mode: str = "mean",
    delta: float | None = None,
    alphas: str | None = None,
    leaked: Annotated[int, number("leaked", int)] = 0,
    unit: str | None = None,
    group: Annotated[bool, Parameter(negative="")] = False,
    skip_bad: Annotated[bool, Parameter(negative="")] = False,
    guide: Annotated[list[str] | None, Parameter(negative="")] = None,
    another_patient: Annotated[bool, Parameter(negative="")] = False,
    device: str = "auto",
    force: Annotated[bool, Parameter(negative="")] = False,
    quiet: Annotated[bool, Parameter(negative="")] = False,
    **given: Any,
) -> int:
    """Make a certificate: how far a prior, or any tool, can be trusted on photographs or scans like those of a folder.

    Each photograph serves as truth: its middle is degraded, restored and compared. Scans, for a prior, are taken whole
    and in plane, with one promise about all scans of a patient. A run that was cut off goes on where it was.

    Parameters
    ----------
    directory
        A folder of photographs, or of scans (NIfTI files, DICOM series), of the kind that will be restored, none of
        them trained on.
    output
        The certificate, a JSON file.
    score
        Where the result is less trustworthy: predictor, variance, perturbed, gradient or files, with keys as in
        variance:smooth=2; the prior's predictor where it has one, gradient for a tool.
    loss
        area (share of the picture, or of the scans' foreground, that is trusted and off by more than tau), sup (worst
        trusted pixel), tile-mean, recall or violation.
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
        One promise about all pictures of a sub-folder together. Of scans, the sub-folder says whose each is; without
        it the sub- of BIDS does, else the sub-folder, else what the name begins with.
    skip_bad
        Go on without photographs or scans that cannot be read or are too small.
    guide
        Of scans: NAME=FOLDER, in which each scan has a guide of this modality, which the prior's guides know, under a
        name like its own, the folder of the scans itself for one; or edges=auto. Any number.
    another_patient
        Take guides whose DICOM headers tell another patient.
    device
        auto, cuda, mps or cpu.
    force
        Replace an existing certificate.
    quiet
        No progress, no remarks; warnings are said all the same.
    """
    from veriscale.imaging.atomic import refuse_existing
    from veriscale.workflows.certifying.calibration import calibrate as make_certificate
    from veriscale.workflows.scans.asked_guides import split_guides

    refuse_existing(output, force)
    with meter(quiet) as shown, redirect_stdout(sys.stderr):  # whatever a user's own code prints
        certificate = make_certificate(
            directory,
            output,
            score=score,
            loss=loss,
            tau=tau,
            tile=tile,
            discrepancy=discrepancy,
            mode=mode,
            delta=delta,
            alphas=alphas or (),
            leaked=leaked,
            unit=unit,
            group=group,
            skip_bad=skip_bad,
            guides=split_guides(guide or ()),
            another_patient=another_patient,
            device=device,
            force=force,
            progress=shown,
            tell=lambda line: say(line, quiet),
            warn=complain,
            **given,
        )
    level = certificate.meant or next(iter(certificate.binding.declared), certificate.usual_alpha)
    infeasible = certificate.infeasible(level)
    if infeasible:
        complain(infeasible)
    else:
        share = float(certificate.shares(certificate.threshold(level)).mean())
        counted = "foreground's voxels" if certificate.of_scans else f"{certificate.binding.n} units' pixels"
        say(f"At alpha {level} about {share:.0%} of the {counted} are trusted.", quiet)
    print(output)
    return 0
