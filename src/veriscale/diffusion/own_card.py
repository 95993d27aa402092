"""What was measured of somebody's own prior: a small file, read strictly."""

import math
import os
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import msgspec

from veriscale.diffusion.card import PATHS, Card, Consistency, Data, Mode
from veriscale.errors import InputError, closest

NEAR = 1e-6  # relative difference of two levels that are one, but for rounding


class Measured(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was measured of somebody's own prior on pictures of theirs: a small file.

    Attributes:
        prior: its hash.
        mode: with sigma_data, v(sigma), and the first level and trust of the anchor `fast`.
        consistency: what is usual for that anchor.
        pictures: on which.
    """

    prior: str
    mode: Mode
    consistency: list[Consistency]
    pictures: Data


def read_measured(path: str | os.PathLike[str], card: Card) -> Measured:
    """What a file says was measured of the prior whose card this is, as it was made.

    Raises:
        InputError: the file cannot be read, is no such card, or is of another denoiser or other noise levels.
    """
    try:
        found = msgspec.json.decode(Path(path).read_bytes(), type=Measured)
    except (OSError, TypeError, ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise InputError(f"Card {path} cannot be used: {error}; measure the prior again.") from error
    if found.prior != card.tensors_sha256:
        raise InputError(f"Card {path} is of another denoiser than {card.name!r}; measure this one.")
    own = card.mode(0)
    levels = (found.mode.sigma_min, own.sigma_min), (found.mode.sigma_max, own.sigma_max)
    if not all(math.isclose(a, b, rel_tol=NEAR) for a, b in levels):
        raise InputError(
            f"Card {path} was measured with noise levels from {found.mode.sigma_min:g} to {found.mode.sigma_max:g}, "
            f"and these are {own.sigma_min:g} to {own.sigma_max:g}; measure the prior again."
        )
    wrong = _of_mode(found.mode) or next(filter(None, map(_of_consistency, found.consistency)), None)
    if wrong:
        raise InputError(f"Card {path} cannot be used: {wrong}; measure the prior again.")
    return found


def _of_mode(mode: Mode) -> str | None:
    """What is wrong with it."""
    if mode.scale or mode.noise_std != [0.0] or len(mode.sigma_data) != 1:
        return "its mode is not the unconditional one, of scale 0, noise_std 0 and one sigma_data"
    above = "sigma_min", "sigma_max", "level_ratio", "high", "trust", "mask_high", "mask_trust"
    for name, value in (("sigma_data", mode.sigma_data[0]), *((k, getattr(mode, k)) for k in above)):
        if not 0 < value < math.inf:
            return f"{name} is {value:g}, and a number above 0 is wanted"
    for name in ("relaxation", "mask_relaxation"):
        if not 0 < getattr(mode, name) <= 1:
            return f"{name} is {getattr(mode, name):g}, and a number above 0, 1 at most, is wanted"
    for name in ("low", "mask_low"):
        if not 0 <= getattr(mode, name) < math.inf:
            return f"{name} is {getattr(mode, name):g}, and a number from 0 on is wanted"
    for name in ("path", "mask_path"):
        if getattr(mode, name) not in PATHS:
            return f"{name} is {getattr(mode, name)!r}; {closest(getattr(mode, name), PATHS)}"
    if mode.sigma or mode.variance:
        if len(mode.variance) != 1 or len(mode.variance[0]) != len(mode.sigma):
            return f"variance must be one row of {len(mode.sigma)} numbers, one for each sigma"
        if not (_increasing(mode.sigma) and all(0 < v < math.inf for v in mode.variance[0])):
            return "sigma must be numbers above 0 that increase, and variance numbers above 0"
    return None


def _of_consistency(usual: Consistency) -> str | None:
    """What is wrong with it."""
    what = f"what is usual for {usual.operator!r}"
    levels = usual.noise_std
    if not levels or {len(usual.low), len(usual.high)} != {len(levels)}:
        return f"{what} must be as many low and high as noise_std"
    if not (levels[0] >= 0 and _increasing([1.0 + s for s in levels])) or usual.values < 1:
        return f"{what} must have noise_std from 0 on that increase, and at least one of `values`"
    if not all(0 < low <= high < math.inf for low, high in zip(usual.low, usual.high, strict=True)):
        return f"{what} must lie between a low and a high, both above 0"
    return None


def _increasing(values: Sequence[float]) -> bool:
    """Whether they are numbers above 0, each above the one before."""
    return values[0] > 0 and values[-1] < math.inf and all(a < b for a, b in pairwise(values))
