"""What the draws of many pictures or scans say of their truths: picture by picture, and pooled."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from veriscale.metrics.draw_scores import LEVELS, DrawSums, interval_kind
from veriscale.report.draws_figure import DrawsCurves, draws_figure

Tempered = dict[float, DrawSums]
"""What the draws of one picture say, as drawn, which is temperature 1, and at the prior's own."""


def tempered(run: dict[str, Any], drawn: Callable[[float], DrawSums]) -> Tempered:
    """What draws say at temperature 1, and at that by which a run has multiplied their std."""
    return {t: drawn(t) for t in (1.0, run.get("temperature", 1.0))}


@dataclass
class DrawTable:
    """Numbers of each, and the sums of all: memory does not grow with the pictures.

    Attributes:
        rows: of each the fields that name it, and `DrawSums.numbers`.
        pooled: the sum over all; None while there is none.
        temperature: by which the draws' deviations from their mean are multiplied.
    """

    temperature: float = 1.0
    rows: list[dict[str, Any]] = field(default_factory=list)
    pooled: DrawSums | None = None

    def add(self, names: dict[str, Any], sums: DrawSums) -> None:
        """Take one picture or scan."""
        self.rows.append({**names, **sums.numbers()})
        self.pooled = sums if self.pooled is None else self.pooled + sums

    @property
    def all(self) -> DrawSums:
        """The sum over all.

        Raises:
            ValueError: there is none.
        """
        if self.pooled is None:
            raise ValueError("no draws were scored")
        return self.pooled

    @property
    def facts(self) -> dict[str, Any]:
        """The temperature where it is not 1, how many draws, which intervals, and the counts of the rank histogram."""
        count = self.all.spread.draws
        return {
            **({} if self.temperature == 1 else {"temperature": self.temperature}),
            "samples": count,
            "intervals": interval_kind(count),
            "places": self.all.coverage.places,
            "ranks": self.all.ranks.tolist(),
        }

    def draw(self, path: Path, kind: str, force: bool = False) -> None:
        """Coverage and ranks, as a PNG file.

        Args:
            path: of the file.
            kind: of what they are, "pictures" or "scans".
            force: replace a file that is there.

        Raises:
            InputError: as `draws_figure`.
        """
        coverage = [[row[f"coverage_{100 * level:.0f}"] for level in LEVELS] for row in self.rows]
        facts = self.facts
        curves = DrawsCurves(
            LEVELS, self.all.coverage.coverage, coverage, facts["ranks"], facts["samples"], facts["intervals"], kind
        )
        draws_figure(path, curves, force)
