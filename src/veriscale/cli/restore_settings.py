"""The arguments of `veriscale restore`: from the command line, a certificate, a run.json, or the defaults."""

from pathlib import Path

import msgspec

from veriscale.errors import InputError
from veriscale.traversal.dial import PATH
from veriscale.trust.certificate import Certificate
from veriscale.workflows.certified import certified_settings


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The restoration's own arguments; None leaves the choice to the certificate or the plan."""

    prior: str | None = None
    scale: int | None = None
    operator: str | None = None
    noise: str | None = None
    dial: str = "0"
    path: str = PATH
    samples: int = 0
    command: str | None = None
    certificate: str | None = None
    alpha: str | None = None
    score_files: str | None = None
    timeout: float | None = None
    anchor: str | None = None
    posterior: str | None = None
    preset: str | None = None
    consistent: bool = False
    sampler: str | None = None
    steps: int | None = None
    seed: int = 0
    crop: str | None = None


class Recorded(msgspec.Struct, frozen=True):
    """What a run.json says that matters for repeating it."""

    class Input(msgspec.Struct, frozen=True):
        """The restored file, from the folder of the results."""

        name: str
        sha256: str

    class Prior(msgspec.Struct, frozen=True):
        """The prior that was used."""

        sha256: str

    arguments: Settings
    input: Input
    prior: Prior | None = None  # a tool has none


def read_run(path: Path) -> Recorded:
    """A run.json of `veriscale restore`.

    Raises:
        InputError: it cannot be read, or is something else.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Recorded)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{path} is not a run.json of veriscale restore: {error}.") from error


def with_certificate(settings: Settings, certificate: Certificate) -> Settings:
    """The settings with what a prior's certificate fixes, operator and noise apart: a sidecar may know them better."""
    if certificate.command is not None:
        return settings
    fixed = {k: v for k, v in certified_settings(certificate).items() if k not in ("operator", "noise")}
    return msgspec.structs.replace(settings, **{**fixed, "dial": f"{fixed['dial']:g}"})
