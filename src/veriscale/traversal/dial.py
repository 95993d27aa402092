"""The dial: the share f of the extra distortion between the anchor and a posterior draw."""

import math
from typing import Protocol

import numpy as np

from veriscale.diffusion.card import Card, DialTable, Mode
from veriscale.errors import InputError
from veriscale.physics.masked import Masked
from veriscale.physics.operator import Operator

LEAST = 0.01  # share below which the dial fades into the anchor


class Dial(Protocol):
    """What a position of the dial is looked up in: a card's `DialTable`, or a `Pilot`."""

    @property
    def sigma_0(self) -> list[float]:
        """Starts of the second stage, increasing from 0."""

    @property
    def fraction(self) -> list[float]:
        """Share of the extra distortion at each start, from 0 to 1."""

    @property
    def kappa(self) -> float:
        """E<x1 - anchor, x - anchor> / E|x1 - anchor|² of full draws x1."""


def best_path(mode: Mode, operator: Operator) -> str:
    """What the card of an unconditional prior says is the better path for an operator.

    Source: docs/methods.md#pilot-draws.
    """
    return mode.mask_path if isinstance(operator, Masked) and operator.picture else mode.path


def check_sigma_0(value: float, widest: float) -> float:
    """A start of the second stage that was asked for itself, as in the paper: 0 is the anchor.

    Args:
        value: σ₀.
        widest: start of a full draw.

    Raises:
        InputError: it is negative, above a full draw's, or no number.
    """
    if not 0 <= value <= widest:
        end = math.floor(1000 * widest) / 1000  # one that is taken when it is typed
        raise InputError(f"`--sigma0` {value:g} is outside [0, {end:g}], from the anchor to a full draw here.")
    return value


def find_table(card: Card, scale: int, noise_std: float, sampler: str, steps: int) -> DialTable:
    """The prior's table for a scale, sampler and step count, at the measured noise nearest to `noise_std`.

    Raises:
        InputError: the card has none for this sampler and number of steps.
    """
    fitting = [t for t in card.dial if (t.scale, t.sampler, t.steps) == (scale, sampler, steps)]
    if not fitting:
        known = sorted({f"{t.sampler} with {t.steps} steps" for t in card.dial if t.scale == scale})
        raise InputError(
            f"Prior {card.name!r} has no dial table for {sampler} with {steps} steps at scale {scale}, so only dial 0 "
            f"and 1 can be reached; measured: {', '.join(known) or 'none'}."
        )
    return min(fitting, key=lambda t: abs(t.noise_std - noise_std))


def sigma_0(table: Dial, f: float) -> float:
    """The start of the second stage for dial f: monotone interpolation of the table, linear in sigma.

    Below `LEAST` it falls to 0 with f, since a table may hold a start above 0 that costs nothing.

    Source: ours, docs/methods.md#the-dial.
    """
    return min(1.0, f / LEAST) * float(np.interp(max(f, LEAST), table.fraction, table.sigma_0))


def weight(table: Dial, f: float) -> float:
    """How far to go from the anchor to a draw, for dial f on the path `interpolate`.

    With kappa = E<x1 - anchor, x - anchor> / E|x1 - anchor|² the extra distortion at weight w is proportional to
    w² - 2·kappa·w; kappa is 0 for an anchor that is the posterior mean, and w is then √f. For a kappa above 0 the way
    from the anchor first comes nearer to the truth, and a share of 0 is met again at 2·kappa: there the dial would
    begin with a jump, so that below `LEAST` the weight falls to 0 as √f does.

    Source: ours, docs/methods.md#the-dial.
    """
    k = table.kappa
    share = max(f, LEAST)
    return math.sqrt(min(1.0, f / LEAST)) * (k + math.sqrt(k * k + share * (1 - 2 * k)))
