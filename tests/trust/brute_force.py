"""The definitions word by word in fractions, sharing nothing with the code they judge, and hard sets to try them on."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import product
from math import ceil, inf

import numpy as np

from veriscale.trust.losses.loss import Loss

RESOLUTION = 2**30
Pictures = list[tuple[np.ndarray, np.ndarray]]
Rule = Callable[[np.ndarray, float], np.ndarray]


def strict(score: np.ndarray, t: float) -> np.ndarray:
    """The mask: what is trusted."""
    return score < t


def loss_at(
    loss: Loss, unit: Pictures, t: float, bound: float, rule: Rule = strict, kept: Callable = lambda value, bound: value
) -> Fraction:
    """The loss of a unit by its definition, from the pixels; `kept` is done to every tile's loss."""
    trusted = [rule(score, t) & (score < inf) for score, _ in unit]
    off = [np.where(mask, d, 0) for mask, (_, d) in zip(trusted, unit, strict=True)]
    if loss.name == "sup":
        return most(off, bound)
    if loss.name == "tile-mean":
        tiles = []
        for d in off:
            corners = product(range(0, d.shape[0], loss.tile), range(0, d.shape[1], loss.tile))
            tiles += [kept(most([d[r : r + loss.tile, c : c + loss.tile]], bound), bound) for r, c in corners]
        return sum(tiles, Fraction(0)) / len(tiles)
    bad = sum(int((d > loss.tau).sum()) for d in off)
    if loss.name == "violation":
        return Fraction(int(bad > 0))
    every = sum(d.size if loss.name == "area" else int((d > loss.tau).sum()) for _, d in unit)
    return Fraction(bad, every) if every else Fraction(0)


def most(parts: Sequence[np.ndarray], bound: float) -> Fraction:
    """The largest value; one that is infinite costs the bound."""
    return Fraction(min(float(max(d.max() for d in parts)), bound))


def stored(value: Fraction, bound: float) -> Fraction:
    """The value rounded up to bound / 2³⁰, as staircases keep it."""
    unit = Fraction(bound) / RESOLUTION
    return ceil(value / unit) * unit


def stored_loss_at(loss: Loss, unit: Pictures, t: float, bound: float) -> Fraction:
    """The loss as its staircase keeps it."""
    return stored(loss_at(loss, unit, t, bound, kept=stored), loss.bound(bound))


def candidates(units: Sequence[Pictures]) -> list[float]:
    """All thresholds that there are: every score, and trusting everything."""
    return sorted({float(s) for unit in units for score, _ in unit for s in score.ravel()} | {inf})


class BruteForce:
    """Thresholds by trying all of them."""

    def __init__(self, loss: Loss, units: Sequence[Pictures], bound: float):
        self.candidates = candidates(units)
        self.table = [[stored_loss_at(loss, unit, t, bound) for t in self.candidates] for unit in units]
        self.totals = [sum(column) for column in zip(*self.table, strict=True)]

    def threshold(self, allowed: Fraction, left_out: int | None = None) -> float:
        """The largest candidate at which the losses of all units but `left_out` sum to no more than allowed."""
        if allowed < 0:
            return -inf
        sums = self.totals
        if left_out is not None:
            sums = [total - own for total, own in zip(sums, self.table[left_out], strict=True)]
        return self.candidates[bisect_right(sums, allowed) - 1]


SHAPES = [(1, 1), (2, 2), (1, 4), (3, 2)]


def hard_set(rng: np.random.Generator, bound: float) -> list[Pictures]:
    """Two to seven small units: ties, constants, infinities, duplicates, empty domains, missing references, traps."""
    levels = rng.choice([1, 2, 3, 8, 1000])
    fine = rng.choice([2, 8, 2**24])
    odd = rng.random()

    def picture() -> tuple[np.ndarray, np.ndarray]:
        shape = SHAPES[rng.integers(len(SHAPES))]
        score = (rng.integers(levels, size=shape) - levels // 2).astype(np.float32)
        if levels == 1000:
            score += rng.random(shape, np.float32)
        share = rng.integers(fine + 1, size=shape) / fine
        d = np.minimum(share * bound, bound).astype(np.float32)
        kind = rng.integers(10)
        if kind == 0:
            score[:] = score.flat[0]
        if kind == 1:
            score[:] = inf
        if kind == 2:
            d[:] = 0
        if kind == 3:
            d[:] = bound
        if kind == 4:
            score = -d  # as misleading as can be
        if kind == 5:
            score = d.copy()  # perfect
        if odd < 0.3:
            score[rng.random(shape) < 0.2] = inf
            score[rng.random(shape) < 0.2] = -inf
            d[rng.random(shape) < 0.1] = inf
        return score, d

    units = [[picture() for _ in range(rng.choice([1, 1, 1, 2, 3]))] for _ in range(rng.integers(2, 8))]
    if rng.random() < 0.2:
        units = [units[rng.integers(len(units))] for _ in units]
    return units


def hard_alphas(rng: np.random.Generator, n: int, bound: float, count: int = 4) -> list[Fraction]:
    """Risk levels, many on the edge: where sums can equal what is allowed, and where nothing is feasible."""
    edges = [Fraction(int(rng.integers(1, 8 * n)), 8 * n) for _ in range(count - 1)]
    return [a * Fraction(bound) for a in (*edges, Fraction(int(rng.integers(1, 100)), 100))]
