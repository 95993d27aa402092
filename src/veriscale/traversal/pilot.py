"""The dial where no table was measured: from draws on the user's own picture, without its truth."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor


@dataclass(frozen=True)
class Pilot:
    """What a dial needs to know of one picture; the fields of a card's `DialTable`.

    Attributes:
        sigma_0: starts of the second stage, increasing from 0.
        fraction: share of the extra distortion at each, non-decreasing from 0 to 1.
        kappa: E<x1 - anchor, x1' - anchor> / E|x1 - anchor|² of two independent full draws.
    """

    sigma_0: list[float]
    fraction: list[float]
    kappa: float


def pilot(
    anchor: Tensor,
    full: Sequence[Tensor],
    partial: Callable[[float], Tensor],
    starts: Sequence[float],
    sigma_max: float,
) -> Pilot:
    """Learn the dial from two full draws and one partial draw for each start.

    A full draw x1' stands in for the truth: ΔMSE(f) = E‖x_f − x̂‖² − 2E⟨x_f − x̂, x1' − x̂⟩. The second term vanishes
    where x̂ is the posterior mean and corrects any other anchor.

    Args:
        anchor: (1, C, H, W).
        full: two independent draws of the same shape.
        partial: start → a draw from there, independent of the second full one.
        starts: increasing, below sigma_max; none for the path `interpolate`, which needs no more than the full draws.
        sigma_max: start of a full draw.

    Source: ours, docs/methods.md#pilot-draws.
    """
    first, second = ((x - anchor).double() for x in full)
    a = float(first.square().mean() + second.square().mean()) / 2
    b = float((first * second).mean())
    # Draws all on one side of an anchor are its failure: above ½ the farther draw would be the nearer to the truth.
    kappa = min(b / a, 0.45) if a else 0.0
    extra = [0.0]
    for start in starts:
        step = (partial(start) - anchor).double()
        extra.append(float(step.square().mean()) - 2 * float((step * second).mean()))
    extra.append(a - 2 * kappa * a)
    share = (
        np.maximum.accumulate(np.array(extra) / extra[-1]).clip(0, 1)
        if extra[-1] > 0
        else np.linspace(0, 1, len(extra))
    )
    share[-1] = 1.0
    return Pilot([0.0, *starts, sigma_max], share.tolist(), kappa)
