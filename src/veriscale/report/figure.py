"""An empty figure of matplotlib, which only figures and training need."""

from pathlib import Path
from typing import Any

from veriscale.errors import InputError
from veriscale.imaging.atomic import replacing

MEASURED, BOUND, SECOND = "#1f6f6b", "#24231f", "#b0562b"


def empty_figure(width: float, height: float) -> Any:
    """A figure of so many inches.

    Raises:
        InputError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise InputError("The figure needs matplotlib; install it with: pip install 'veriscale[train]'.") from error
    return Figure(figsize=(width, height), layout="constrained")


def legend_below(axes: Any) -> None:
    """Grid, open frame, and a legend off the curves."""
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(0, -0.16))


def write_figure(path: Path, figure: Any, force: bool = False) -> None:
    """As PNG.

    Raises:
        InputError: `path` exists and `force` is not set, or it cannot be written.
    """
    with replacing(path, force) as temporary:
        figure.savefig(temporary, format="png", dpi=150)
