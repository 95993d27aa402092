"""Calibrating a prior, or anybody's tool, on a folder of photographs; a prior on a folder of scans."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Unpack

from veriscale.decimals import shortest
from veriscale.diffusion.prior import Prior
from veriscale.errors import InputError
from veriscale.physics.downsample import Downsample
from veriscale.physics.measurement_noise import Noise, parse_noise
from veriscale.physics.operator import Operator
from veriscale.runtime.device import Device
from veriscale.settings import Asked, as_name, check_functions, positions, settled
from veriscale.traversal.method import Tell
from veriscale.trust.certificate import Certificate
from veriscale.trust.discrepancies import parse_discrepancy
from veriscale.trust.losses.loss import Loss
from veriscale.trust.losses.registry import make_loss
from veriscale.trust.risk_level import levels
from veriscale.trust.scores.registry import parse_score
from veriscale.workflows.certifying.calibration_run import Promise, certify
from veriscale.workflows.certifying.scan_calibration import certify_scans
from veriscale.workflows.certifying.scan_units import ScanMeasuring, of_scans, unguiding
from veriscale.workflows.certifying.scoring import check_pattern
from veriscale.workflows.certifying.units import Measuring, common_size, parse_size, usable
from veriscale.workflows.degrading.measurement import find_measurement
from veriscale.workflows.factory import own_operator
from veriscale.workflows.inputs import collect
from veriscale.workflows.opening import load_prior, usual_prior
from veriscale.workflows.restoring.door import as_settings
from veriscale.workflows.restoring.method_choice import known_scale
from veriscale.workflows.restoring.prior_restorer import PriorRestorer
from veriscale.workflows.scans.asked_guides import asked_guides
from veriscale.workflows.tools.command_template import parse_command
from veriscale.workflows.tools.tool_restorer import TIMEOUT, ToolRestorer

DRAWS = 8  # or runs of a tool, where the score needs them and nobody says how many
# Where nobody says which: chosen on validation (docs/results/trust_tuning.json).
TOOL_SCORE = "gradient:std=0.7,smooth=2"
WORST_SCORE = "predictor:tau=0.15,context=0.25,smooth=2"  # for losses that the worst pixel decides


def calibrate(
    directory: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    prior: Prior | str | os.PathLike[str] | None = None,
    score: str | None = None,
    loss: str = "area",
    tau: float | None = None,
    tile: int | None = None,
    discrepancy: str = "pointwise",
    mode: str = "mean",
    delta: float | None = None,
    alphas: float | str | Sequence[float | str] = (),
    leaked: int = 0,
    unit: str | None = None,
    group: bool = False,
    skip_bad: bool = False,
    guides: Mapping[str, str | os.PathLike[str]] | None = None,
    another_patient: bool = False,
    device: Device = "auto",
    force: bool = False,
    progress: Tell = lambda what, done, of: None,
    tell: Callable[[str], None] = lambda line: None,
    warn: Callable[[str], None] = lambda line: None,
    **asked: Unpack[Asked],
) -> Certificate:
    """Make a certificate: how far results can be trusted on photographs, or on scans, like those of a folder.

    The middle of each photograph is the truth: it is degraded, restored and compared. Scans are taken whole, in plane,
    and one promise is about all scans of a patient, over their foreground. What was measured is kept beside `output`
    until that is written, so that a run that was cut off goes on where it was.

    Args:
        directory: photographs or scans of the kind that will be restored, none of them trained on.
        output: the certificate's file.
        prior: name, path or a loaded prior; by default `photo`, of scans `mri`, where no command is given.
        score: as in "variance:smooth=2"; the prior's predictor where it has one, else the variance of its draws, and
            for a tool the gradient of its result.
        loss, tau, tile: as `trust.losses.registry.make_loss`.
        discrepancy: as `trust.discrepancies.parse_discrepancy`.
        mode, delta, alphas, leaked: as `trust.modes.Guarantee`.
        unit: size of a result, as "320x320"; the largest that all photographs have by default.
        group: whether the pictures of a sub-folder are one unit; whose a scan is says the `sub-` of BIDS, else the
            sub-folder, else what its name begins with, and with this the sub-folder alone.
        skip_bad: go on without photographs or scans that cannot be read or are too small.
        guides, another_patient: of scans, as of `evaluate`; the certificate is for restorations with all of them.
        device: "auto", "cuda", "mps" or "cpu"; that of a prior that is loaded already.
        force: replace an existing certificate.
        progress: told after every evaluation of a network or run of a tool.
        tell: told in words what is left out and what fails.
        warn: told where patients look like groups of them.
        asked: settings as of `restore`, of the restorations that are certified, at one dial position; `samples` are
            draws for the score `variance`, or runs of the tool `command`, 8 by default; `alpha` is the level that the
            certificate is meant for, and is taken where it is used and none is given.

    Raises:
        InputError: an argument, a photograph or a scan cannot be used, or the tool failed on every photograph.
    """
    check_functions(progress=progress, tell=tell, warn=warn)
    asked_for = as_settings(asked)
    command = asked_for.command
    if command is not None and prior is not None:
        raise InputError("A prior and a command are two things to calibrate; give one.")
    dial = positions(asked_for.dial or "0")
    if len(dial) > 1:
        raise InputError(f"`--dial` {asked_for.dial}: a certificate is for one position; give one.")
    ways = (asked_for.path, asked_for.sampler, asked_for.steps)
    if command is not None and (dial, *ways) != ((0.0,), None, None, None):
        raise InputError("Dial, path, sampler and steps are a prior's; leave them out with a command.")
    for name in ("anchor", "posterior", "preset", "consistent", "ensemble") if command is not None else ():
        if getattr(asked_for, name):
            raise InputError(f"`--{name}` is a prior's; leave it out with a command.")
    for name in ("crop", "certificate"):
        if getattr(asked_for, name) is not None:
            raise InputError(f"`--{name}` is for a restoration, and this is a calibration; leave it out.")
    items, _ = collect([as_name("directory", directory)], say=tell, scans=True, truths=True)
    scans = of_scans(items)
    promise = Promise(
        make_loss(loss, tau, tile),
        parse_discrepancy(discrepancy),
        mode,
        delta,
        levels(alphas),
        leaked,
        "patient" if scans else "folder" if group else "picture",
        asked_for.alpha,
    )
    scale, score_files = asked_for.scale, asked_for.score_files
    if scale is not None and scale <= 1:
        raise InputError(f"Scale {scale:g} enlarges nothing; give 2 or more.")
    if unit is not None and promise.loss.any_size:
        raise InputError(f"The loss '{loss}' is for pictures of any size; leave out the unit.")
    size = None if unit is None else parse_size(unit)
    if guides and not scans:
        raise InputError("`--guide` is of scans, and the folder holds photographs; leave it out.")
    for name, given in {"unit": unit, "command": command, "score-files": score_files}.items() if scans else ():
        if given is not None:
            raise InputError(f"`--{name}` is of photographs, and the folder holds scans; leave it out.")
    operator, noise = asked.get("operator"), asked.get("noise")
    found, model = find_measurement(
        None,
        operator if isinstance(operator, Operator) else own_operator(asked_for.operator),
        scale,
        noise if isinstance(noise, Noise) else asked_for.noise,
    )
    model = model if isinstance(model, Noise) else parse_noise(str(model))
    restorer: PriorRestorer | ToolRestorer
    if command is not None:
        if found is None and scale is None:
            raise InputError("A tool's factor is not known; say `--scale`, such as `--scale` 4.")
        wanted = parse_score(score if score is not None else "files" if score_files else TOOL_SCORE)
        a = found or Downsample(1 if scale is None else scale)
        runs = (DRAWS if asked_for.samples is None else asked_for.samples) if wanted.needs == "draws" else 0
        timeout = TIMEOUT if asked_for.timeout is None else asked_for.timeout
        restorer = ToolRestorer(parse_command(command), a, str(model), wanted, runs, timeout, score_files)
        channels = 3
        _ = restorer.scale  # refused here, not after the first picture
    else:
        loaded = load_prior(usual_prior(bool(scans), guides) if prior is None else prior, device)
        a = found or Downsample(known_scale(loaded, scale))
        wanted = parse_score(score if score is not None else "files" if score_files else _usual(loaded, promise.loss))
        draws = (DRAWS if asked_for.samples is None else asked_for.samples) if wanted.needs == "draws" else 0
        settings = settled(replace(asked_for, samples=draws, scale=None, operator=None))
        restorer = PriorRestorer(loaded, settings, score=wanted, operator=a, noise=model)
        channels = loaded.card.network.channels
    check_pattern(wanted, score_files)
    if not a.picture:
        raise InputError(f"A measurement by {a} is no picture of 8 bits; a certificate needs one that is.")
    if scans and isinstance(restorer, PriorRestorer):
        by = asked_guides(restorer.prior, guides or {}, another_patient)
        return certify_scans(
            unguiding(items, by, tell),
            restorer,
            ScanMeasuring(a, model, asked_for.seed or 0, promise.discrepancy, by),
            promise,
            Path(as_name("output", output)),
            grouped=group,
            skip_bad=skip_bad,
            force=force,
            progress=progress,
            tell=tell,
            warn=warn,
        )
    measuring = Measuring(a, model, channels, seed=asked_for.seed or 0)
    if size is not None and measuring.fitting(size) != size:
        raise InputError(f"A unit of {size} is not one that {a} takes whole; {measuring.fitting(size)} is.")
    good, bad = usable([i.path for i in items], replace(measuring, size=size), skip_bad)
    if score_files is not None and len({f.stem for f in good}) < len(good):
        raise InputError(
            "Two of the pictures have one name, so that `--score-files` cannot tell them apart; rename one."
        )
    if size is None and not promise.loss.any_size:
        size = common_size((u.size for u in good.values()), measuring)
    measuring = replace(measuring, size=size, channels=next(iter(good.values())).channels)
    for line in restorer.remarks:
        tell(line)
    for why in bad.values():
        tell(f"Left out: {why}")
    tell(
        f"{len(good)} pictures, {'whole' if size is None else f'results of {size}'}, {a}, noise {measuring.noise}, "
        f"score {wanted}, loss {loss}."
    )
    return certify(
        [i for i in items if i.path in good],
        restorer,
        measuring,
        promise,
        Path(as_name("output", output)),
        prior=restorer.prior if isinstance(restorer, PriorRestorer) else None,
        left_out=bad,
        force=force,
        progress=progress,
        tell=tell,
    )


def _usual(prior: Prior, loss: Loss) -> str:
    if prior.predictor is None:
        return "variance:smooth=2"
    return WORST_SCORE if loss.tau is None else f"predictor:tau={shortest(loss.tau)}"
