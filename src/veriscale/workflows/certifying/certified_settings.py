"""Restoring with a prior as a certificate says: its settings, and whether they are kept."""

from dataclasses import asdict, fields

from veriscale.decimals import shortest
from veriscale.diffusion.prior import Prior
from veriscale.errors import InputError
from veriscale.imaging.normalisation import SCAN
from veriscale.imaging.photo import Photo
from veriscale.metrics.foreground import FLOOR
from veriscale.settings import Settings, positions
from veriscale.traversal.presets import LATENT_PRESETS, PRESETS, LatentPreset, Preset
from veriscale.trust.certificate import Certificate
from veriscale.trust.facts import PriorFacts
from veriscale.trust.scores.registry import parse_score
from veriscale.workflows.certifying.binding import plan_facts
from veriscale.workflows.restoring.plan import Plan

SCANS = f"{SCAN}; foreground above {FLOOR:g}"
"""How a scan's intensities become [0, 1] and which of its pixels count."""

# Of the facts that are settings: found out anew, or not always asked for by name.
_OTHERWISE = ("prior", "scale", "operator", "noise", "dial", "anchor", "posterior", "preset")


def certified_settings(certificate: Certificate) -> Settings:
    """What a certificate says of a prior's restoration, but for the measurement; None where it leaves it open.

    Raises:
        InputError: it is for a tool.
    """
    facts = certified_facts(certificate)
    given = facts.given()
    known = {f.name: given[f.name] for f in fields(Settings) if f.name in given and f.name not in _OTHERWISE}
    if facts.mode != "conditional":
        known |= {k: given[k] for k in ("anchor", "posterior") if k in given}
    if facts.posterior == "dps":
        known.pop("sampler", None)  # it is a sampler of its own, and takes no other
    presets: dict[str, Preset | LatentPreset] = {**PRESETS, **LATENT_PRESETS}
    known["preset"] = next((name for name, preset in presets.items() if asdict(preset) == facts.preset), None)
    return Settings(dial=shortest(facts.dial), ensemble=facts.anchor == "ensemble", **known)


def certified_dial(certificate: Certificate, settings: Settings) -> float:
    """The position that a certificate speaks of.

    Raises:
        InputError: it is not among those asked for, or the certificate is for a tool.
    """
    dial = certified_facts(certificate).dial
    asked = positions(settings.dial or "0")
    if dial not in asked:
        raise InputError(
            f"The certificate is for dial {dial:g}, and this is {', '.join(f'{f:g}' for f in asked)}: add {dial:g} to "
            "the positions, or calibrate for another."
        )
    return dial


def check_kind(certificate: Certificate, scans: bool) -> None:
    """Raise `InputError` where a certificate is of photographs and the picture is a slice of a scan, or the reverse."""
    if scans and not certificate.of_scans:
        raise InputError("The certificate is for photographs, and this is a scan: calibrate on scans for it.")
    if not scans and certificate.of_scans:
        raise InputError("The certificate is for scans, and this is a photograph: calibrate on photographs for it.")
    if scans and certificate.binding.unit.scans != SCANS:
        raise InputError(
            f"The certificate is for scans by another rule ({certificate.binding.unit.scans}), and this version's is "
            f"{SCANS}: calibrate again."
        )


def check_certified(photo: Photo, prior: Prior, plan: Plan, certificate: Certificate) -> None:
    """Raise `InputError`, before any work, where a plan is not what the certificate is about."""
    dial = certified_facts(certificate).dial
    certificate.check(plan_facts(prior, plan, parse_score(certificate.binding.score), dial))
    if photo.alpha is not None:
        raise InputError("A certificate is for pictures without transparency; flatten this one first.")
    certificate.check_unit(plan.shape[1], plan.shape[0], photo.channels, photo.bit_depth)


def certified_facts(certificate: Certificate) -> PriorFacts:
    """What a prior's certificate fixes.

    Raises:
        InputError: it is for a tool.
    """
    facts = certificate.binding.restoration
    if not isinstance(facts, PriorFacts):
        raise InputError(f"The certificate is for the tool {certificate.command!r}; give `--command`.")
    return facts
