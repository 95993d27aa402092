"""The file of guides: their tensors and their card alone; the prior they guide is found by its name and hash."""

import os
from itertools import chain
from pathlib import Path

import msgspec
import torch

from veriscale.diffusion.card import FORMAT_VERSION, Card
from veriscale.diffusion.checkpoint import load_checkpoint, read_card
from veriscale.diffusion.library import STATE, SUFFIX, folders, known_priors
from veriscale.diffusion.sealed import (
    fill,
    has_card,
    read_sealed_card,
    read_sealed_tensors,
    stored_tensors,
    tensors_digest,
    write_sealed,
)
from veriscale.errors import InputError, closest
from veriscale.guides.card import GuideCard
from veriscale.guides.guided_prior import GuidedPrior
from veriscale.guides.networks import Guides, build_guides

_KEY = "guide_card"


def save_guides(guides: Guides, card: GuideCard, path: Path, force: bool = False) -> GuideCard:
    """Write guides; returns the card with the hash of the tensors as stored.

    Raises:
        InputError: the file exists and `force` is not set, or cannot be written.
    """
    tensors = stored_tensors(guides.parts())
    card = msgspec.structs.replace(card, tensors_sha256=tensors_digest(tensors))
    write_sealed(tensors, card, _KEY, path, force)
    return card


def holds_guides(path: str | os.PathLike[str]) -> bool:
    """Whether a file is one of guides; one that cannot be read is none."""
    return has_card(Path(path), _KEY)


def read_guide_card(path: str | os.PathLike[str]) -> GuideCard:
    """The card of a file of guides; the tensors are not read.

    Raises:
        InputError: missing, truncated, a pickle, no guides, edited, or of another version.
    """
    return read_sealed_card(Path(path), GuideCard, _KEY, "a file of guides", FORMAT_VERSION)


def load_guides(path: str | os.PathLike[str], device: torch.device, dtype: torch.dtype) -> GuidedPrior:
    """Read and check guides and the prior that they guide, as yet without pictures.

    Args:
        path: a file that `save_guides` wrote.
        device: where the networks go.
        dtype: the type they compute in.

    Raises:
        InputError: as `read_guide_card`; the tensors are not those the card speaks of; or their parent is not found, is
            damaged, or is another prior of that name.
    """
    path = Path(path)
    card = read_guide_card(path)
    tensors = read_sealed_tensors(path, card.tensors_sha256)
    prior = load_checkpoint(_parent(card, path)[0], device, dtype)
    try:
        guides = build_guides(prior.card.network, card.arguments)
    except (RuntimeError, ValueError, IndexError, ZeroDivisionError) as error:
        raise InputError(f"{path}: its card names networks that cannot be built: {error}.") from error
    fill(guides.parts(), tensors, path, device, dtype)
    return GuidedPrior(prior.card, prior.encoder, prior.denoiser, prior.predictor, guides=guides, guide_card=card)


def read_parent_card(card: GuideCard, path: Path) -> Card:
    """The card of the prior that guides guide.

    Args:
        card: of the guides.
        path: of their file, for errors.

    Raises:
        InputError: the prior is neither beside them nor where priors lie, is damaged, or is another of that name.
    """
    return _parent(card, path)[1]


def _parent(card: GuideCard, path: Path) -> tuple[Path, Card]:
    """The prior of the card's hash: of its name beside the guides or where priors lie, else of any name there."""
    places = [path.absolute().parent, *folders()]
    named = [folder / f"{card.parent}{SUFFIX}" for folder in places]
    other = (f for folder in places for f in sorted(folder.glob(f"*{SUFFIX}")) if not f.name.endswith(STATE))
    damaged, another = None, ""
    for file in chain(filter(Path.is_file, named), other):
        try:
            parent = read_card(file)
        except InputError as error:
            damaged = damaged or (error if file in named else None)
            continue
        if parent.tensors_sha256 == card.parent_sha256:
            return file, parent
        if file in named and not another:
            another = f"{file} is another, of {parent.tensors_sha256[:12]}"
    if another:
        raise InputError(
            f"{path} guides a prior {card.parent!r} of sha256 {card.parent_sha256[:12]}, and {another}; bring that "
            "prior back, or train the guides again."
        )
    why = damaged or f"no prior is called {card.parent!r}; {closest(card.parent, known_priors())}."
    raise InputError(
        f"{path} guides the prior {card.parent!r}, which has to lie beside it or in a folder of VERISCALE_PRIORS: {why}"
    )
