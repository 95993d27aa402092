"""From settings to a restorer: priors and certificates by name, loaded."""

import os
from collections.abc import Mapping
from pathlib import Path

import torch

from veriscale.diffusion.card import Card
from veriscale.diffusion.checkpoint import load_checkpoint, read_card
from veriscale.diffusion.library import find_prior, folders, known_models, known_priors
from veriscale.diffusion.own_prior import MARK
from veriscale.diffusion.prior import Prior
from veriscale.errors import InputError, closest, shown
from veriscale.guides.guide_file import holds_guides, load_guides, read_guide_card
from veriscale.latent.folder import model_folder
from veriscale.latent.hub import is_hub
from veriscale.latent.pipeline import prior_from_pipeline, read_pipeline
from veriscale.physics.operator import Operator
from veriscale.runtime.device import Device, choose_device, choose_dtype
from veriscale.settings import Settings, as_name, settled
from veriscale.trust.certificate import Certificate
from veriscale.trust.certificate_file import read_certificate
from veriscale.trust.facts import PriorFacts
from veriscale.workflows.certifying.certified_settings import certified_facts, certified_settings
from veriscale.workflows.factory import is_factory, made_by, own_operator, runs_code
from veriscale.workflows.restoring.prior_restorer import PriorRestorer
from veriscale.workflows.restoring.restorer import Restorer

PHOTOGRAPHS, SCANS, GUIDED = "photo", "mri", "mri-guided"
"""The priors that are taken where none is asked for: the last for scans with guides."""


def open_restorer(
    settings: Settings,
    certificate: Certificate | None = None,
    *,
    prior: Prior | None = None,
    default: str = PHOTOGRAPHS,
    device: Device = "auto",
) -> Restorer:
    """Whoever restores as the settings say: the tool of their command, else a prior.

    Args:
        settings: what is asked; a certificate and the defaults say the rest.
        certificate: for the masks of the results; that of the settings by default. A tool needs one.
        prior: loaded; that of the settings or the certificate by default.
        default: the prior of none of them, as by `usual_prior`.
        device: "auto", "cuda", "mps" or "cpu".

    Raises:
        InputError: settings contradict each other or the certificate, or there is no such prior or tool.
    """
    given = settings.certificate if certificate is None else certificate
    held = None if given is None else find_certificate(given)
    return opened(agreed(settings, held), held, prior, device, default=default)


def agreed(given: Settings, certificate: Certificate | None, repeated: Settings | None = None) -> Settings:
    """Given over certificate over repeated run over default, checked before anything is read or loaded.

    Args:
        given: what is asked.
        certificate: that is given, or else that of the repeated run, which has heard it already.
        repeated: settings of that run.

    Raises:
        InputError: settings contradict each other or the certificate.
    """
    heard = repeated is not None and given.certificate is None
    by_prior = certificate is not None and certificate.command is None and given.command is None
    v = settled(given, certified_settings(certificate) if certificate and by_prior and not heard else None, repeated)
    if certificate is None and (v.alpha, v.command, v.score_files) != (None, None, None):
        raise InputError("`--alpha`, `--command` and `--score-files` belong to a `--certificate`, and none is given.")
    if certificate is not None and certificate.command is not None and v.command is None:
        raise InputError(
            f"The certificate is for the tool {certificate.command!r}; if you trust it, give it as `--command`."
        )
    for setting, is_program in (("prior", is_factory), ("operator", runs_code)):
        told = getattr(v, setting)
        if is_program(told) and told != getattr(given, setting):
            raise InputError(f"The run's `--{setting}` {told} is a program; if you trust it, give it as `--{setting}`.")
    if given.timeout is not None and (v.command is None or given.timeout <= 0):
        raise InputError("`--timeout` is the seconds that a `--command` may take, a number above 0.")
    if certificate is not None:
        certificate.threshold(v.alpha or certificate.usual_alpha)  # one that is none is refused before the work
    return v


def opened(
    settings: Settings,
    certificate: Certificate | None,
    prior: Prior | None,
    device: Device,
    folder: Path = Path(),
    default: str = PHOTOGRAPHS,
) -> Restorer:
    """The restorer of agreed settings; `folder` is where the operator's files are named from, `default` a prior.

    Raises:
        InputError: there is no such prior or tool, or it is not the certificate's.
    """
    if settings.command is None or certificate is None:
        loaded = load_certified(settings.prior if prior is None else prior, certificate, device, default)
        own = own_operator(settings.operator, folder)
        operator = own if isinstance(own, Operator) else None
        return PriorRestorer(loaded, settings, certificate, operator=operator, folder=folder)
    if prior is not None:
        raise InputError("A prior and a `--command` are two things to restore with; give one.")
    from veriscale.workflows.tools.tool_restorer import certified_tool

    return certified_tool(settings, certificate)


def usual_prior(scans: bool, guides: Mapping[str, object] | None = None) -> str:
    """The name of the prior that is taken where none is asked for."""
    if not scans:
        return PHOTOGRAPHS
    return GUIDED if guides else SCANS


def load_prior(
    name: Prior | str | os.PathLike[str], device: Device = "auto", dtype: torch.dtype | None = None
) -> Prior:
    """A prior by name or path, ready to run.

    Args:
        name: of a shipped or installed prior, a file, a folder in the layout of diffusers or its name where it lies
            beside the priors, `hub:owner/name` of one, or
            `package.module:factory` of a function that makes one; a prior that is loaded is ready. A file of guides
            finds the prior that they guide.
        device: "auto", "cuda", "mps" or "cpu".
        dtype: of the networks; bfloat16 where the hardware has it by default.

    Raises:
        InputError: there is none, it is something else, its file is not sound, or it is loaded on another device.
    """
    place = choose_device(device)
    if isinstance(name, str) and is_factory(name):
        made: Prior = made_by(name, Prior)
        return load_prior(made, device)
    if isinstance(name, str) and name.startswith(MARK):
        raise InputError(
            f"The prior {name.removeprefix(MARK)!r} is somebody's own denoiser; give it as `--prior` "
            "package.module:factory, or in Python as an object."
        )
    if isinstance(name, str | os.PathLike) and (is_hub(name) or model_folder(name)):
        return prior_from_pipeline(name, device=device, dtype=dtype)
    if isinstance(name, Prior):
        if device != "auto" and place.type != name.device.type:
            raise InputError(f"The prior is loaded on {name.device}; load it with load_prior(name, {place.type!r}).")
        return name
    if not isinstance(name, str | os.PathLike):
        raise InputError(
            f"A prior is a name, a file or what prior_from makes, not {shown(name)}; if it is a denoiser, wrap it with "
            "prior_from."
        )
    path = find_prior(os.fspath(name))
    load = load_guides if holds_guides(path) else load_checkpoint
    return load(path, place, dtype or choose_dtype(place))


def load_certified(
    prior: Prior | str | os.PathLike[str] | None,
    certificate: Certificate | None,
    device: Device = "auto",
    default: str = PHOTOGRAPHS,
) -> Prior:
    """The prior that is asked for, or that of a certificate, in the certificate's type; else the default one.

    Raises:
        InputError: there is none.
    """
    if certificate is None:
        return load_prior(default if prior is None else prior, device)
    name = certified_prior(certificate) if prior is None else prior
    facts = certificate.binding.restoration
    return load_prior(name, device, getattr(torch, facts.dtype) if isinstance(facts, PriorFacts) else None)


def known_certificates() -> dict[str, Path]:
    """Names and files of the certificates beside the priors; of two with one name the user's comes first."""
    found: dict[str, Path] = {}
    for folder in folders():
        for path in sorted(folder.glob("*.json")) if folder.is_dir() else []:
            found.setdefault(path.stem, path)
    return found


def find_certificate(name: Certificate | str | os.PathLike[str], folder: Path = Path()) -> Certificate:
    """A certificate by its file, or the name of one that lies beside the priors.

    Args:
        name: of either; one that is read already is itself.
        folder: from which a relative path starts.

    Raises:
        InputError: there is none, it is something else, or it is not sound.
    """
    if isinstance(name, Certificate):
        return name
    name = as_name("certificate", name)
    if (folder / name).is_file() or str(name).endswith(".json") or os.sep in str(name):
        return read_certificate(folder / name)
    known = known_certificates()
    if str(name) not in known:
        raise InputError(f"No certificate is called {str(name)!r}; {closest(str(name), known)}.")
    return read_certificate(known[str(name)])


def certified_prior(certificate: Certificate) -> str:
    """The file of the prior that a certificate is for, or its folder.

    Raises:
        InputError: it is for a tool, or no such prior is installed.
    """
    facts = certified_facts(certificate)
    if facts.guides:
        return _certified_guides(facts.guides[0])
    cards = {}
    latent = facts.mode == "latent"
    for path in (known_models() if latent else known_priors()).values():
        try:
            cards[str(path)] = read_pipeline(path).card if latent else read_card(path)
        except InputError:
            continue  # a broken file is not the one that is looked for
    fitting = [path for path, card in cards.items() if card.tensors_sha256 == facts.prior]
    if not fitting:
        raise InputError(
            f"The certificate is for a prior with sha256 {facts.prior[:12]}…, which is not installed; name its "
            f"{'folder' if latent else 'file'} with `--prior`."
        )
    # One with another card will be refused, with the words for it.
    return next((path for path in fitting if _decides(cards[path], facts) == facts.card), fitting[0])


def _certified_guides(sha256: str) -> str:
    """The file of guides of this hash.

    Raises:
        InputError: none is installed.
    """
    for path in filter(holds_guides, known_priors().values()):
        if read_guide_card(path).tensors_sha256 == sha256:
            return str(path)
    raise InputError(
        f"The certificate is for guides with sha256 {sha256[:12]}…, which are not installed; name their file with "
        "`--prior`."
    )


def _decides(card: Card, facts: PriorFacts) -> str:
    scale = facts.scale if facts.mode == "conditional" and facts.scale in card.network.scales else 0
    return card.deciding_sha256(int(scale or 0))
