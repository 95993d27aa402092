"""Restoring as a certificate says: its settings, whether they are kept, and the mask."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from veriscale.diffusion.checkpoint import read_card
from veriscale.diffusion.library import folders, known_priors
from veriscale.diffusion.prior import Prior
from veriscale.errors import InputError, closest
from veriscale.imaging.photo import Photo
from veriscale.physics.registry import parse_operator
from veriscale.trust.certificate import Certificate
from veriscale.trust.certificate_file import read_certificate
from veriscale.trust.facts import PriorFacts
from veriscale.trust.scores.registry import parse_score
from veriscale.workflows.binding import plan_facts
from veriscale.workflows.plan import Plan
from veriscale.workflows.request import Request

_SETTINGS = ("noise", "dial", "path", "samples", "sampler", "steps", "seed", "consistent")


def certified_settings(certificate: Certificate) -> dict[str, Any]:
    """What a certificate says of a prior's restoration, by the names of `Request`; what it leaves open is not there.

    Raises:
        InputError: it is for a tool.
    """
    facts = certified_facts(certificate)
    given = facts.given()
    settings = {k: given[k] for k in _SETTINGS if k in given}
    settings["operator"] = facts.operator
    if facts.mode == "zero-shot":
        settings |= {k: given[k] for k in ("anchor", "posterior") if k in given}
    if facts.posterior == "dps":
        settings.pop("sampler", None)  # it is a sampler of its own, and takes no other
    return settings


def certified_request(request: Request, certificate: Certificate) -> Request:
    """The request with the certificate's score, at its dial.

    Raises:
        InputError: that dial is not among those asked for, or the certificate is for a tool.
    """
    dial = certified_facts(certificate).dial
    asked = [request.dial] if isinstance(request.dial, int | float) else list(request.dial)
    if dial not in asked:
        raise InputError(
            f"The certificate is for dial {dial:g}, and this is {', '.join(f'{f:g}' for f in asked)}: add {dial:g} to "
            "the positions, or calibrate for another."
        )
    score = parse_score(certificate.binding.score)
    return replace(request, score=None if score.needs == "maps" else score, scored_dial=dial)


def with_settings(request: Request, certificate: Certificate) -> Request:
    """The request with everything the certificate fixes."""
    settings = certified_settings(certificate)
    operator = parse_operator(settings.pop("operator"))
    return replace(request, operator=operator, scale=None, **settings)


def check_certified(photo: Photo, prior: Prior, plan: Plan, certificate: Certificate) -> None:
    """Raise `InputError`, before any work, where a plan is not what the certificate is about."""
    dial = certified_facts(certificate).dial
    certificate.check(plan_facts(prior, plan, parse_score(certificate.binding.score), dial))
    if photo.alpha is not None:
        raise InputError("A certificate is for pictures without transparency; flatten this one first.")
    certificate.check_unit(plan.shape[1], plan.shape[0], photo.channels, photo.bit_depth)


def known_certificates() -> dict[str, Path]:
    """Names and files of the certificates beside the priors; of two with one name the user's comes first."""
    found: dict[str, Path] = {}
    for folder in folders():
        for path in sorted(folder.glob("*.json")) if folder.is_dir() else []:
            found.setdefault(path.stem, path)
    return found


def find_certificate(name: str | os.PathLike[str], folder: Path = Path()) -> Certificate:
    """A certificate by its file, or the name of one that lies beside the priors.

    Args:
        name: of either.
        folder: from which a relative path starts.

    Raises:
        InputError: there is none, or it is not sound.
    """
    if (folder / name).is_file() or str(name).endswith(".json") or os.sep in str(name):
        return read_certificate(folder / name)
    known = known_certificates()
    if str(name) not in known:
        raise InputError(f"No certificate is called {str(name)!r}; {closest(str(name), known)}.")
    return read_certificate(known[str(name)])


def certified_prior(certificate: Certificate) -> str:
    """The file of the prior that a certificate is for.

    Raises:
        InputError: it is for a tool, or no such prior is installed.
    """
    sha256 = certified_facts(certificate).prior
    for path in known_priors().values():
        try:
            if read_card(path).tensors_sha256 == sha256:
                return str(path)
        except InputError:
            continue  # a broken file is not the one that is looked for
    raise InputError(
        f"The certificate is for a prior with sha256 {sha256[:12]}…, which is not installed; name its file "
        "with --prior."
    )


def certified_facts(certificate: Certificate) -> PriorFacts:
    """What a prior's certificate fixes.

    Raises:
        InputError: it is for a tool.
    """
    facts = certificate.binding.restoration
    if not isinstance(facts, PriorFacts):
        raise InputError(f"The certificate is for the tool {certificate.command!r}; give --command.")
    return facts
