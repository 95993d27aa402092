"""Calibrating a prior, or anybody's tool, on a folder of photographs."""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from veriscale.decimals import shortest
from veriscale.diffusion.prior import Prior
from veriscale.errors import InputError
from veriscale.physics.downsample import Downsample
from veriscale.physics.measurement_noise import Noise, parse_noise
from veriscale.physics.operator import Operator
from veriscale.trust.certificate import Certificate
from veriscale.trust.discrepancies import parse_discrepancy
from veriscale.trust.losses.loss import Loss
from veriscale.trust.losses.registry import make_loss
from veriscale.trust.scores.registry import parse_score
from veriscale.workflows.certification import Promise, certify
from veriscale.workflows.command_template import parse_command
from veriscale.workflows.inputs import collect
from veriscale.workflows.measurement import find_measurement
from veriscale.workflows.request import Request
from veriscale.workflows.restoration import load_prior
from veriscale.workflows.restorers import TIMEOUT, PriorRestorer, ToolRestorer, check_pattern
from veriscale.workflows.units import Measuring, common_size, parse_size, usable

DRAWS = 8  # or runs of a tool, where the score needs them and nobody says how many
# Where nobody says which: chosen on validation (docs/results/trust_tuning.json).
TOOL_SCORE = "gradient:std=0.7,smooth=2"
WORST_SCORE = "predictor:tau=0.15,context=0.25,smooth=2"  # for losses that the worst pixel decides


def calibrate(
    directory: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    prior: Prior | str | None = None,
    command: str | None = None,
    scale: int | None = None,
    operator: str | Operator | None = None,
    noise: str | float | Noise | None = None,
    dial: float = 0.0,
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
    alphas: Sequence[float | str] = (),
    leaked: int = 0,
    unit: str | None = None,
    group: bool = False,
    skip_bad: bool = False,
    timeout: float = TIMEOUT,
    force: bool = False,
    progress: Callable[[str, int, int], None] = lambda what, done, of: None,
    tell: Callable[[str], None] = lambda line: None,
) -> Certificate:
    """Make a certificate: how far results can be trusted on photographs like those of a folder.

    The middle of each photograph is the truth: it is degraded, restored and compared. What was measured is kept beside
    `output` until that is written, so that a run that was cut off goes on where it was.

    Args:
        directory: photographs of the kind that will be restored, none of them trained on.
        output: the certificate's file.
        prior: name, path or a loaded prior; `photo` by default.
        command: instead of a prior, a tool's command line with {in} and {out}.
        scale: factor of bicubic downsampling; the prior's largest by default.
        operator: what made the measurements, instead of a scale.
        noise: theirs; by default what the operator's file says, else 0.
        dial: of the certified picture.
        path, sampler, steps, seed: as `restore`.
        samples: draws at dial 1 or runs of a tool, for the score `variance`; 8 by default.
        score: as in "variance:smooth=2"; the prior's predictor where it has one, else the variance of its draws, and
            for a tool the gradient of its result.
        score_files: pattern of the user's own maps, with {stem}, for the score "files".
        loss, tau, tile: as `trust.losses.registry.make_loss`.
        discrepancy: as `trust.discrepancies.parse_discrepancy`.
        mode, delta, alphas, leaked: as `trust.modes.Guarantee`.
        unit: size of a result, as "320x320"; the largest that all photographs have by default.
        group: whether the pictures of a sub-folder are one unit.
        skip_bad: go on without photographs that cannot be read or are too small.
        timeout: seconds a tool may take for one run.
        force: replace an existing certificate.
        progress: told after every evaluation of a network or run of a tool.
        tell: told in words what is left out and what fails.

    Raises:
        InputError: an argument or a photograph cannot be used, or the tool failed on every photograph.
    """
    if command is not None and prior is not None:
        raise InputError("A prior and a command are two things to calibrate; give one.")
    if command is not None and (dial, path, sampler, steps) != (0.0, None, None, None):
        raise InputError("Dial, path, sampler and steps are a prior's; leave them out with a command.")
    promise = Promise(
        make_loss(loss, tau, tile),
        parse_discrepancy(discrepancy),
        mode,
        delta,
        tuple(str(a).strip() for a in alphas),
        leaked,
        group,
    )
    if scale is not None and scale < 2:
        raise InputError(f"Scale {scale} enlarges nothing; give 2 or more.")
    if unit is not None and promise.loss.any_size:
        raise InputError(f"The loss '{loss}' is for pictures of any size; leave out the unit.")
    size = None if unit is None else parse_size(unit)
    items, _ = collect([Path(directory)])
    found, model = find_measurement(None, operator, scale, noise)
    restorer: PriorRestorer | ToolRestorer
    if command is not None:
        if found is None and scale is None:
            raise InputError("A tool's factor is not known; say --scale, such as --scale 4.")
        wanted = parse_score(score if score is not None else "files" if score_files else TOOL_SCORE)
        a = found or Downsample(1 if scale is None else scale)
        runs = (DRAWS if samples is None else samples) if wanted.needs == "draws" else 0
        restorer = ToolRestorer(parse_command(command), a, str(_noise(model)), wanted, runs, timeout, score_files)
        channels = 3
        _ = restorer.scale  # refused here, not after the first picture
    else:
        loaded = prior if isinstance(prior, Prior) else load_prior(prior or "photo")
        a = found or Downsample(max(loaded.card.network.scales) if scale is None else scale)
        wanted = parse_score(score if score is not None else "files" if score_files else _usual(loaded, promise.loss))
        request = Request(operator=a, noise=model, dial=dial, sampler=sampler, steps=steps, seed=seed, scored_dial=dial)
        request = request if path is None else replace(request, path=path)
        request = replace(request, samples=(DRAWS if samples is None else samples) if wanted.needs == "draws" else 0)
        restorer = PriorRestorer(loaded, request, wanted, score_files)
        channels = loaded.card.network.channels
    check_pattern(wanted, score_files)
    if not a.picture:
        raise InputError(f"A measurement by {a} is no picture of 8 bits; a certificate needs one that is.")
    measuring = Measuring(a, _noise(model), channels, seed=seed)
    if size is not None and measuring.fitting(size) != size:
        raise InputError(f"A unit of {size} is not one that {a} takes whole; {measuring.fitting(size)} is.")
    good, bad = usable([i.path for i in items], replace(measuring, size=size), skip_bad)
    if score_files is not None and len({f.stem for f in good}) < len(good):
        raise InputError("Two of the pictures have one name, so that --score-files cannot tell them apart; rename one.")
    if size is None and not promise.loss.any_size:
        size = common_size(good, measuring)
    for why in bad.values():
        tell(f"Left out: {why}")
    tell(
        f"{len(good)} pictures, {'whole' if size is None else f'results of {size}'}, {a}, noise {measuring.noise}, "
        f"score {wanted}, loss {loss}."
    )
    return certify(
        [i for i in items if i.path in set(good)],
        restorer,
        replace(measuring, size=size),
        promise,
        Path(output),
        card=restorer.prior.card if isinstance(restorer, PriorRestorer) else None,
        left_out=bad,
        force=force,
        progress=progress,
        tell=tell,
    )


def _usual(prior: Prior, loss: Loss) -> str:
    if prior.predictor is None:
        return "variance:smooth=2"
    return WORST_SCORE if loss.tau is None else f"predictor:tau={shortest(loss.tau)}"


def _noise(model: str | float | Noise) -> Noise:
    return model if isinstance(model, Noise) else parse_noise(str(model))
