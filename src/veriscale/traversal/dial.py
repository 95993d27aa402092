"""The dial: the share f of the extra distortion between the anchor and a posterior draw."""

import math
from typing import Protocol

import numpy as np

from veriscale.diffusion.card import Card, DialTable
from veriscale.errors import InputError

PATHS = ("renoise", "interpolate")


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

    Source: ours, docs/methods.md#the-dial.
    """
    return float(np.interp(f, table.fraction, table.sigma_0))


def weight(table: Dial, f: float) -> float:
    """How far to go from the anchor to a draw, for dial f on the path `interpolate`.

    With kappa = E<x1 - anchor, x - anchor> / E|x1 - anchor|² the extra distortion at weight w is proportional to
    w² - 2·kappa·w; kappa is 0 for an anchor that is the posterior mean, and w is then √f.

    Source: ours, docs/methods.md#the-dial.
    """
    k = table.kappa
    return k + math.sqrt(k * k + f * (1 - 2 * k))
