"""One input of `veriscale restore`, checked and ready to be carried out: by a prior, or by somebody's tool."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from veriscale.cli.restore_settings import Settings
from veriscale.diffusion.prior import Prior
from veriscale.errors import InputError
from veriscale.imaging.photo import Photo
from veriscale.trust.certificate import Certificate
from veriscale.trust.scores.registry import parse_score
from veriscale.workflows.certified import certified_request, certified_settings, check_certified
from veriscale.workflows.command_template import parse_command
from veriscale.workflows.degradation import read_sidecar
from veriscale.workflows.measurement import find_measurement
from veriscale.workflows.plan import Plan, make_plan
from veriscale.workflows.request import Request, parse_dials
from veriscale.workflows.restoration import run_plan
from veriscale.workflows.restorers import TIMEOUT, check_pattern, read_score
from veriscale.workflows.result import Restoration
from veriscale.workflows.tool_restoration import certified_tool, check_tool, restore_with_tool
from veriscale.workflows.two_stages import Progress

_WITH_TOOLS = ("scale", "command", "certificate", "alpha", "score_files", "timeout", "crop")


@dataclass(frozen=True)
class Work:
    """What will be done with one input.

    Attributes:
        suffix: what its results' names end in.
        dials, samples: of the results.
        lines: said before.
        costs: said of a dry run.
        restore: does it.
        arguments: what run.json adds to the settings, by the folder of the results.
        verdicts: said after.
    """

    suffix: str
    dials: Sequence[float]
    samples: int
    lines: Sequence[str]
    costs: Sequence[str]
    restore: Callable[[Progress], Restoration]
    arguments: Callable[[Path], dict[str, Any]]
    verdicts: Callable[[Restoration], list[str]]


def prior_work(
    path: Path, photo: Photo, prior: Prior, settings: Settings, certificate: Certificate | None, folder: Path
) -> Work:
    """A restoration by a prior.

    Args:
        path: of the input.
        photo: what is restored of it.
        prior: on its device.
        settings: with what the certificate fixes.
        certificate: for the mask.
        folder: from which the operator's files are named.

    Raises:
        InputError: something about the input, the settings or the certificate.
    """
    v = settings
    stated, noise = v.operator, v.noise
    if certificate is not None and v.operator is None and v.scale is None and read_sidecar(path) is None:
        certified = certified_settings(certificate)
        stated, noise = certified["operator"], certified["noise"] if noise is None else noise
    operator, found = find_measurement(path, stated, v.scale, noise, folder)
    if v.crop is not None and operator is not None and not operator.divisible:
        raise InputError(
            f"--crop does not go with {operator}, whose holes or coefficients are those of the whole picture; "
            "crop the result instead."
        )
    request = Request(
        scale=v.scale if operator is None else None,
        operator=operator,
        noise=found,
        dial=parse_dials(v.dial),
        path=v.path,
        samples=v.samples,
        anchor=v.anchor,
        posterior=v.posterior,
        preset=v.preset,
        consistent=v.consistent,
        sampler=v.sampler,
        steps=v.steps,
        seed=v.seed,
    )
    if certificate is not None:
        request = certified_request(request, certificate)
    plan = make_plan(photo, prior, request)
    score = None
    if certificate is not None:
        check_certified(photo, prior, plan, certificate)
        check_pattern(parse_score(certificate.binding.score), v.score_files)
        if v.score_files is not None:
            score = read_score(v.score_files, path.stem, plan.shape)

    def arguments(results: Path) -> dict[str, Any]:
        return {
            "prior": v.prior or prior.card.name,
            "noise": str(plan.noise),
            "scale": plan.scale,
            "operator": None if plan.conditional else str(plan.operator.beside(results)),
        }

    def verdicts(result: Restoration) -> list[str]:
        said = [f"{result.verdict.sentence()}."] if not plan.conditional or result.verdict.alarm else []
        if result.run["fell_back"]:
            said.append("the anchor's splitting grew apart and went on by half-quadratic splitting.")
        return said + _mask_lines(result)

    return Work(
        suffix=plan.suffix,
        dials=plan.dials,
        samples=plan.samples,
        lines=_prior_lines(path, photo, prior, plan, v),
        costs=_costs(prior, plan),
        restore=lambda progress: run_plan(
            photo, prior, plan, certificate=certificate, alpha=v.alpha, score=score, progress=progress
        ),
        arguments=arguments,
        verdicts=verdicts,
    )


def tool_work(path: Path, photo: Photo, settings: Settings, certificate: Certificate | None) -> Work:
    """A restoration by a tool, as it was calibrated.

    Raises:
        InputError: there is no certificate, or it is for something else.
    """
    v = settings
    if certificate is None:
        raise InputError("--command is restored by as a certificate says; make one with veriscale calibrate.")
    restorer = certified_tool(parse_command(v.command or ""), certificate, v.timeout or TIMEOUT, v.score_files)
    if v.scale not in (None, restorer.scale):
        raise InputError(f"The certificate is for scale {restorer.scale}, and this is {v.scale}: leave it out.")
    others = [k for k in Settings.__struct_fields__ if k not in _WITH_TOOLS]
    if given := [k for k in others if getattr(v, k) != getattr(Settings(), k)]:
        raise InputError(f"--{given[0]} does not go with --command, which runs as it was calibrated; leave it out.")
    sidecar = read_sidecar(path)
    if sidecar is not None:
        certificate.check(certificate.binding.restoration.measured_by(sidecar.operator, sidecar.noise))
    check_tool(photo, restorer, certificate)
    scale = restorer.scale
    line = f"{path.name}: {photo.width}×{photo.height} to {scale * photo.width}×{scale * photo.height} by {v.command}."
    return Work(
        suffix=f"x{scale}",
        dials=[0.0],
        samples=0,
        lines=[line],
        costs=[],
        restore=lambda progress: restore_with_tool(photo, path.stem, restorer, certificate, v.alpha, progress),
        arguments=lambda results: {},
        verdicts=_mask_lines,
    )


def _mask_lines(result: Restoration) -> list[str]:
    mask = result.mask
    if mask is None:
        return []
    share = f"{mask.share:.1%} of the pixels are trusted (alpha {mask.alpha}; drift check p = {mask.drift:.2g})."
    return [line for line in (share, mask.floor(), mask.warning) if line is not None]


def _prior_lines(path: Path, photo: Photo, prior: Prior, plan: Plan, v: Settings) -> list[str]:
    known = ", ".join(f"×{s}" for s in sorted(prior.card.network.scales))
    asked = v.scale or v.operator or plan.scale is None or v.certificate
    chosen = "" if asked else f" (the prior knows {known})"
    how = "conditionally" if plan.conditional else f"unconditionally (zero-shot, anchor {plan.anchor})"
    line = (
        f"{path.name}: {photo.width}×{photo.height} to {plan.shape[1]}×{plan.shape[0]}, {plan.operator}, prior "
        f"{prior.card.name} used {how}, {plan.why}{chosen}, noise {plan.noise}, "
        f"dial {', '.join(f'{f:g}' for f in plan.dials)}."
    )
    return [line, *(f"  {note}." for note in plan.notes)]


def _costs(prior: Prior, plan: Plan) -> list[str]:
    n = prior.card.network
    first = "one of the encoder" if plan.conditional else f"{plan.anchor_evaluations} for the anchor"
    whole = "" if plan.conditional else " The whole picture is one problem; only the network runs in tiles."
    return [
        f"  {plan.evaluations - plan.anchor_evaluations} evaluations of the denoiser after {first}; "
        f"about {plan.memory(n.channels, n.encoder.features) / 1e6:.0f} MB of pictures beside "
        f"{plan.tile_memory / 1e9:.1f} GB at most for the networks and a tile.{whole}"
    ]
