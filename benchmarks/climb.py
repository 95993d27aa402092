"""The best settings of a method, one number at a time by its factor until no step gains: no grid, so no edge of one."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

Settings = dict[str, float]


class Best(NamedTuple):
    """Settings, their score, and whether every neighbour of them was tried, so that no limit holds them."""

    settings: Settings
    score: float
    inside: bool


class Climb:
    """Searches of one method's settings, for one goal or several, that share what was scored.

    Args:
        score: settings -> each goal's score; more is better.
        factors: by what each setting goes up and down.
        limits: beyond which a setting means nothing, or is unknown to the prior; others are free.
        least: what a step has to gain, so that a plateau is not walked along; the default is for dB and W2.
    """

    def __init__(
        self,
        score: Callable[[Settings], dict[str, float]],
        factors: Settings,
        limits: Mapping[str, tuple[float, float]] | None = None,
        least: float = 0.02,
    ) -> None:
        self.score, self.factors, self.limits, self.least = score, factors, dict(limits or {}), least
        self.known: dict[tuple[float, ...], tuple[Settings, dict[str, float]]] = {}

    def best(self, goal: str, starts: Sequence[Settings]) -> Best:
        """From the best that was ever scored on, all `starts` among it."""
        for start in starts:
            self._value(start, goal)
        here = max(self.known.values(), key=lambda known: known[1][goal])[0]
        gained = True
        while gained:
            gained = False
            for name, factor in self.factors.items():
                for step in (factor, 1 / factor):
                    while self._allowed(there := here | {name: here[name] * step}, name) and (
                        self._value(there, goal) > self._value(here, goal) + self.least
                    ):
                        here, gained = there, True
        ends = [(here | {n: here[n] * step}, n) for n, f in self.factors.items() for step in (f, 1 / f)]
        return Best(here, self._value(here, goal), all(self._allowed(there, name) for there, name in ends))

    def _value(self, at: Settings, goal: str) -> float:
        key = tuple(round(value, 9) for value in at.values())
        if key not in self.known:
            self.known[key] = at, self.score(at)
        return self.known[key][1][goal]

    def _allowed(self, at: Settings, name: str) -> bool:
        low, high = self.limits.get(name, (0.0, float("inf")))
        return low <= at[name] <= high * (1 + 1e-9)
