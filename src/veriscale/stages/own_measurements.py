"""What a card holds of somebody's own prior, measured on a folder of their pictures in one call."""

import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import torch

from veriscale.diffusion.own_card import Measured
from veriscale.diffusion.own_prior import OwnPrior, measured
from veriscale.errors import InputError, shown
from veriscale.imaging.atomic import replacing
from veriscale.imaging.formats.registry import is_picture
from veriscale.settings import as_name, check_functions
from veriscale.stages.anchor_rule import measure_anchor_rule
from veriscale.stages.consistency import FEWEST, zero_shot_consistency
from veriscale.stages.data import PictureSet, load
from veriscale.stages.held_out import crops
from veriscale.stages.measurements import unconditional_variance

SIDE, RULE_SIDE, RULE_PICTURES = 64, 48, 3  # crops; the anchor's rule takes hundreds of evaluations
PICTURES = 24  # at most, the first by name
NOISES = (0.0, 0.02, 0.1)


def measure_prior(
    prior: OwnPrior,
    folder: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    force: bool = False,
    tell: Callable[[str], None] = lambda line: None,
) -> OwnPrior:
    """Measure a prior of `prior_from`: sigma_data, v(sigma), the anchor's first level and trust, the usual consistency.

    Args:
        prior: as it was made.
        folder: pictures of the kind that will be restored, at least 64 pixels a side; the first 24 are used, and from 8
            on alarms know what is usual.
        output: the file that `prior_from(card=…)` takes.
        force: replace it.
        tell: told what is being measured.

    Returns:
        The prior with its card.

    Raises:
        InputError: the prior is none of `prior_from` or has changed since it was made, a picture is too small or cannot
            be read, there is none or no such folder, or the file exists.
    """
    if not isinstance(prior, OwnPrior):
        raise InputError(
            f"What is measured is a prior of prior_from, not {shown(prior)}; if it is a denoiser, wrap it with "
            "prior_from."
        )
    check_functions(tell=tell)
    place, file = Path(as_name("folder", folder)), Path(as_name("output", output))
    files = [str(f.absolute()) for f in sorted(place.rglob("*")) if f.is_file() and is_picture(f)]
    if not files:
        what = "holds no picture" if place.is_dir() else "does not exist"
        raise InputError(f"Folder {place} {what}; give one with pictures of at least {SIDE} pixels a side.")
    prior.check_unchanged()
    channels = prior.card.network.channels
    found = load(files, place.absolute(), channels, torch.device("cpu"), "unknown", "")
    used = msgspec.structs.replace(found.facts, pattern=place.name)
    found = PictureSet(found.images[:PICTURES], found.names[:PICTURES], used)
    small = [n for n, i in zip(found.names, found.images, strict=True) if min(i.shape[-2:]) < SIDE]
    if small:
        raise InputError(f"{small[0]} has less than {SIDE} pixels a side; take larger pictures.")
    x = crops(found, SIDE)
    tell("the spread of pictures")
    mode = prior.mode(0)
    mode = msgspec.structs.replace(mode, sigma_data=[float((x - prior.card.mean).square().mean().sqrt())])
    facts = Measured(prior.card.tensors_sha256, mode, [], found.facts)
    tell("v(sigma)")
    facts = msgspec.structs.replace(facts, mode=unconditional_variance(measured(prior, facts), x))
    tell("where the anchor 'fast' begins, and its trust")
    few = crops(found, RULE_SIDE)[:RULE_PICTURES]
    facts = msgspec.structs.replace(facts, mode=measure_anchor_rule(measured(prior, facts), few))
    if len(x) >= FEWEST:
        usual = zero_shot_consistency(measured(prior, facts), x, NOISES, tell)
        facts = msgspec.structs.replace(facts, consistency=usual)
    with replacing(file, force) as temporary:
        temporary.write_bytes(msgspec.json.format(msgspec.json.encode(facts), indent=2) + b"\n")
    return measured(prior, facts)
