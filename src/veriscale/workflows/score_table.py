"""Scores of many pictures or scans, and their means along the dial."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Protocol

import numpy as np

from veriscale.metrics.bootstrap import interval
from veriscale.workflows.draw_table import DrawTable


class Scored(Protocol):
    """A frozen dataclass: one picture or scan at one dial position, and numbers."""

    __dataclass_fields__: ClassVar[dict[str, Any]]
    kind: ClassVar[str]
    """What is scored, in the plural."""
    names: ClassVar[Sequence[str]]
    """The fields that say which one it is."""
    chief: ClassVar[str]
    """The number whose mean has an interval."""

    @property
    def dial(self) -> float | str:
        """A position, or the name of a baseline."""


@dataclass(frozen=True)
class Evaluation:
    """All scores, picture by picture or scan by scan; `failed` says which cannot be scored, and why.

    `draws` is of the draws, where samples were asked for; `tempered` is of the same with the std that results have,
    where the prior has a temperature. `bound` is of fused guides, where its terms were asked for.
    """

    scores: Sequence[Scored]
    settings: dict[str, Any]
    failed: list[str] = field(default_factory=list)
    draws: DrawTable | None = None
    tempered: DrawTable | None = None
    bound: list[dict[str, Any]] | None = None

    @property
    def kind(self) -> str:
        """What was scored: "pictures" or "scans"."""
        return self.scores[0].kind

    @property
    def pictures(self) -> int:
        """How many were scored."""
        return len({tuple(getattr(s, name) for name in s.names) for s in self.scores})

    def summary(self) -> list[dict[str, Any]]:
        """Per dial position the mean of every number, with the 95 % interval of PSNR."""
        rows, first = [], self.scores[0]
        for dial in dict.fromkeys(s.dial for s in self.scores):
            of = [asdict(s) for s in self.scores if s.dial == dial]
            numbers = [k for k in of[0] if k not in (*first.names, "dial")]
            row: dict[str, Any] = {"dial": dial, first.kind: len(of)}
            row |= {k: float(np.mean([s[k] for s in of])) for k in numbers}
            if len(of) > 1:
                bounds = interval(np.array([s[first.chief] for s in of]))
                row[f"{first.chief}_interval"] = [bounds.low, bounds.high]
            rows.append(row)
        return rows

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        found: dict[str, Any] = {
            "settings": self.settings,
            "summary": _finite(self.summary()),
            self.kind: _finite([asdict(s) for s in self.scores]),
        }
        for name, table in (("draws", self.draws), ("tempered", self.tempered)):
            if table is not None:
                (pooled,) = _finite([table.all.numbers()])
                found[name] = {**table.facts, "pooled": pooled, self.kind: _finite(table.rows)}
        if self.bound is not None:
            found["bound"] = self.bound
        return found


def _finite(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """JSON knows no infinity: the PSNR of an exact restoration becomes null."""
    return [{k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in r.items()} for r in rows]
