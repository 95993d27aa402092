"""The loss of a training run, as CSV and PNG."""

import csv
from pathlib import Path

from veriscale.imaging.atomic import replacing

COLUMNS = ["phase", "step", "seconds", "loss", "held_out"]


class Curves:
    """Rows of (phase, step, seconds, mean loss since the row before, what an evaluation found where there was one).

    It is the loss on held-out batches, or with patience the score, and then that of step 0 too, which has no loss.
    """

    def __init__(self, path: Path, keep: bool) -> None:
        self.path = path
        self.rows: list[list[str]] = []
        if keep and path.exists():
            rows = list(csv.reader(path.read_text().splitlines()))[1:]
            self.rows = [[*r, ""][: len(COLUMNS)] for r in rows]  # those of an earlier version lack the last

    def add(self, phase: str, step: int, seconds: float, loss: float | None, held_out: float | None) -> None:
        """One more row; rows of the same phase from this step on are of a run that was cut off, and go."""
        self.rows = [r for r in self.rows if r[0] != phase or int(r[1]) < step]
        self.rows.append([phase, str(step), f"{seconds:.1f}", _text(loss), _text(held_out)])

    def flush(self) -> None:
        """Write the CSV and draw it."""
        with replacing(self.path, force=True) as temporary, temporary.open("w", newline="") as file:
            csv.writer(file).writerows([COLUMNS, *self.rows])
        self._draw(self.path.with_suffix(".png"))

    def _draw(self, path: Path) -> None:
        from matplotlib.figure import Figure  # only training needs it

        phases = list(dict.fromkeys(r[0] for r in self.rows))
        if not phases:
            return
        figure = Figure(figsize=(5 * len(phases), 3.5), layout="constrained")
        for axes, phase in zip(figure.subplots(1, len(phases), squeeze=False)[0], phases, strict=True):
            for column in (3, 4):
                points = [(int(r[1]), float(r[column])) for r in self.rows if r[0] == phase and r[column]]
                if points:
                    axes.plot(*zip(*points, strict=True), linewidth=1, label=COLUMNS[column].replace("_", " "))
            axes.legend()
            axes.set(title=phase, xlabel="step", ylabel="loss or score", yscale="log")
        with replacing(path, force=True) as temporary:
            figure.savefig(temporary, format="png", dpi=100)


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"
