"""The second stage of a problem: full draws, and pictures at positions of the dial."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from veriscale.diffusion.noise_field import NoiseField
from veriscale.traversal.dial import sigma_0, weight
from veriscale.traversal.method import Problem

BATCH_PIXELS = 1 << 22  # of the draws that are sampled together


@dataclass(frozen=True)
class Walk:
    """What is wanted of a problem.

    Attributes:
        dials: positions in [0, 1].
        path: how positions between 0 and 1 are reached.
        full_draws: runs of the sampler from its highest level.
        sigma_max: that level.
        one_by_one: whether two draws at once would take too much memory.
    """

    dials: Sequence[float]
    path: str
    full_draws: int
    sigma_max: float
    one_by_one: bool = False


def walk(
    problem: Problem, wanted: Walk, field: NoiseField, batch: int | None = None
) -> tuple[dict[float, Tensor], list[Tensor]]:
    """Carry it out.

    Args:
        problem: its first stage is done.
        wanted: of it.
        field: the noise.
        batch: draws sampled together; by memory by default.

    Returns:
        A picture (1, C, H, W) per position, and the full draws.
    """

    def draw(numbers: Sequence[int], start: float) -> list[Tensor]:
        return [x[None] for x in problem.draw([(field, k) for k in numbers], start)]

    fitting = 1 if wanted.one_by_one else max(1, min(8, BATCH_PIXELS // problem.anchor[0, 0].numel()))
    together = batch or fitting
    draws: list[Tensor] = []
    for first in range(0, wanted.full_draws, together):
        draws += draw(range(first, min(first + together, wanted.full_draws)), wanted.sigma_max)
    dial = None
    if any(0 < f < 1 for f in wanted.dials):
        partial = (lambda start: draw([0], start)[0]) if wanted.path == "renoise" else None
        dial = problem.dial(draws[:2], partial)

    def at(f: float) -> Tensor:
        if f == 0:
            return problem.anchor
        if f == 1 or dial is None:
            return draws[0]
        if wanted.path == "renoise":
            return draw([0], sigma_0(dial, f))[0]
        return problem.anchor + weight(dial, f) * (draws[0] - problem.anchor)

    return {f: at(f) for f in wanted.dials}, draws
