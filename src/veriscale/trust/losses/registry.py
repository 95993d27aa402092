"""Every loss by its name, and the loss of a unit as a staircase of the threshold."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from veriscale.errors import InputError, closest
from veriscale.trust.losses.bad_pixels import Area, Recall, Violation
from veriscale.trust.losses.loss import Loss, Map, Maps
from veriscale.trust.losses.worst_pixel import Sup, TileMean
from veriscale.trust.staircase import STEPS, Staircase

LOSSES: dict[str, type[Loss]] = {loss.name: loss for loss in (Area, Sup, TileMean, Recall, Violation)}


def make_loss(name: str, tau: float | None = None, tile: int | None = None) -> Loss:
    """A checked loss; tau is 0.1 and a tile 64 pixels unless given.

    Raises:
        InputError: the name is unknown, or a setting is wrong or belongs to another loss.
    """
    if name not in LOSSES:
        raise InputError(f"Unknown loss {name!r}; {closest(name, LOSSES)}.")
    usual = LOSSES[name]()
    if tau is not None and usual.tau is None:
        raise InputError(f"Loss '{name}' has no tau; leave tau out, or use {_having('tau')}.")
    if tile is not None and usual.tile is None:
        raise InputError(f"Loss '{name}' has no tile; leave tile out, or use {_having('tile')}.")
    if tau is not None and not 0 <= tau < np.inf:
        raise InputError(
            f"Loss '{name}': tau={tau:g} is out of range; tau is a discrepancy of at least 0, such as 0.1."
        )
    if tile is not None and tile < 1:
        raise InputError(f"Loss '{name}': tile={tile} is out of range; tile is a side of at least 1 pixel, such as 64.")
    return replace(usual, tau=usual.tau if tau is None else tau, tile=usual.tile if tile is None else tile)


def _having(setting: str) -> str:
    *others, last = (name for name, loss in LOSSES.items() if getattr(loss(), setting) is not None)
    return f"one of {', '.join(others)} and {last}" if others else last


def staircase(loss: Loss, maps: Maps, bound: float, limit: int = STEPS) -> Staircase:
    """The loss of one unit as a function of the threshold.

    Args:
        loss: which.
        maps: one pair of score and discrepancy, both (H, W) float32, for each picture of the unit. A score is higher
            where the picture is less trustworthy; +∞ is outside of the domain and never trusted. A discrepancy of +∞
            says that there is no reference: trusting it costs `bound`, and it is bad for every tau.
        bound: the largest finite discrepancy there can be; it is compared in float32, as the maps are.
        limit: the number of steps kept; with fewer the loss is overstated by up to a `limit`-th.

    Raises:
        InputError: there is no pixel, shapes differ, a value is NaN, or a discrepancy is below 0 or above `bound`.
    """
    checked = [_checked(score, discrepancy, float(bound)) for score, discrepancy in maps]
    if sum(score.size for score, _ in checked) == 0:
        raise InputError("A unit without a pixel has no loss; give at least one picture.")
    return loss.staircase(checked, float(bound), limit)


def _checked(score: Map, discrepancy: Map, bound: float) -> tuple[Map, Map]:
    # −0 becomes 0: its bits, by which `sup` and `tile-mean` sort, lie above those of every other number.
    s, d = (np.asarray(m, np.float32) + np.float32(0) for m in (score, discrepancy))
    if s.ndim != 2 or s.shape != d.shape:
        raise InputError(f"Score and discrepancy must be maps of one shape, got {s.shape} and {d.shape}.")
    if s.size == 0:
        return s, d
    if np.isnan(s.min()):
        raise InputError(f"The score is NaN at {_first(np.isnan(s))}; use +inf where a pixel may not be trusted.")
    low, high = d.min(), d.max()
    if not (low >= 0 and (high <= bound or (d[d > bound] == np.inf).all())):  # NaN fails both
        wrong = ~((d >= 0) & ((d <= bound) | (d == np.inf)))
        raise InputError(
            f"The discrepancy is {d[wrong][0]:g} at {_first(wrong)}, outside of 0 to B = {bound:g}; "
            "raise B, or use +inf where there is no reference."
        )
    return s, d


def _first(wrong: NDArray[np.bool_]) -> str:
    row, column = np.argwhere(wrong)[0]
    return f"row {row}, column {column}"
