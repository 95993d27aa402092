"""Restoring a photograph with somebody's tool, as it was calibrated, with its mask."""

from importlib.metadata import version
from time import perf_counter
from typing import Any

import numpy as np
import torch
from msgspec import UNSET

from veriscale.errors import InputError
from veriscale.imaging.photo import Photo
from veriscale.physics.data_term import DataTerm
from veriscale.physics.measurement_noise import parse_noise
from veriscale.physics.registry import parse_operator
from veriscale.traversal.consistency import Verdict
from veriscale.trust.certificate import Certificate
from veriscale.trust.facts import ToolFacts
from veriscale.trust.scores.registry import parse_score
from veriscale.workflows.black_box import ToolError
from veriscale.workflows.command_template import CommandTemplate
from veriscale.workflows.restoration import masked
from veriscale.workflows.restorers import TIMEOUT, ToolRestorer, check_pattern
from veriscale.workflows.result import Restoration
from veriscale.workflows.two_stages import Progress


def certified_tool(
    template: CommandTemplate, certificate: Certificate, timeout: float = TIMEOUT, score_files: str | None = None
) -> ToolRestorer:
    """The tool with the certificate's settings.

    The command is always the user's own: a certificate from somebody else could name any program.

    Raises:
        InputError: the certificate is for a prior, or for another command or tool.
    """
    facts = certificate.binding.restoration
    if not isinstance(facts, ToolFacts):
        raise InputError("The certificate is for a prior and not for a tool; leave out --command.")
    score = parse_score(certificate.binding.score)
    check_pattern(score, score_files)
    operator = parse_operator(facts.operator)
    runs = 0 if facts.samples is UNSET else facts.samples
    return ToolRestorer(template, operator, facts.noise, score, runs, timeout, score_files)


def check_tool(photo: Photo, restorer: ToolRestorer, certificate: Certificate) -> None:
    """Raise `InputError`, before any work, where a tool's restoration is not what the certificate is about."""
    certificate.check(restorer.facts(photo))
    if photo.alpha is not None:
        raise InputError("A certificate is for pictures without transparency; flatten this one first.")
    scale = restorer.scale
    certificate.check_unit(scale * photo.width, scale * photo.height, photo.channels, photo.bit_depth)


def restore_with_tool(
    photo: Photo,
    stem: str,
    restorer: ToolRestorer,
    certificate: Certificate,
    alpha: float | str | None = None,
    progress: Progress = lambda what, done, of: None,
) -> Restoration:
    """Run the tool as calibration did, and mask its result.

    Args:
        photo: the measurement.
        stem: of its file, for score files.
        restorer: of `certified_tool`.
        certificate: which it was checked against.
        alpha: risk level; the usual one of the certificate's loss by default.
        progress: told after every run.

    Raises:
        InputError: the picture or the tool is not what the certificate is about, or the tool failed.
    """
    check_tool(photo, restorer, certificate)
    begun = perf_counter()
    try:
        delivered = restorer(photo, stem, progress)
    except ToolError as error:
        raise InputError(f"The tool failed: {error}") from error
    samples = [torch.from_numpy(p.transpose(2, 0, 1).copy())[None] for p in (delivered.picture, photo.pixels)]
    noise = parse_noise(restorer.noise)
    value = float(DataTerm(restorer.operator, samples[1], noise).consistency(samples[0], stored=True)[0])
    facts: dict[str, Any] = {
        "versions": {"veriscale": version("veriscale"), "numpy": np.__version__},
        "mode": "tool",
        **restorer.facts(photo).given(),
        "score": str(restorer.score),
        "dial": [],
        "consistency": {"value": value, "low": None, "high": None},
        "seconds": {"tool": round(perf_counter() - begun, 3)},
    }
    result = Restoration(
        images={0.0: photo.with_pixels(delivered.picture)},
        measurement=photo,
        samples=[],
        mean=None,
        std=None,
        operator=restorer.operator,
        verdict=Verdict(value),
        run=facts,
        score=delivered.score,
    )
    return masked(result, certificate, alpha)
