"""What a certificate promises and what other pictures then showed, against alpha, as a PNG."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from veriscale.report.figure import BOUND, MEASURED, SECOND, empty_figure, legend_below, write_figure

Array = npt.NDArray[np.floating]

POINTWISE = "Pointwise in alpha: each point is a promise by itself, choosing alpha after looking voids it."


@dataclass(frozen=True, eq=False)
class TrustCurves:
    """Measured on pictures that had no part in the calibration; all arrays (A,).

    Attributes:
        alphas: risk levels, rising.
        risk: mean loss over the pictures; an empty mask loses nothing.
        trusted: mean share of a picture that is trusted, in [0, 1]; an empty mask counts as 0.
        empty: share of the pictures whose mask is empty, in [0, 1].
        psnr: mean PSNR inside the mask in dB over the pictures whose mask is not empty; NaN where there is none.
        floor: -20 log10(alpha) in dB; None where the loss or the discrepancy gives none.
        n_pictures: how many pictures.
        loss: its name.
    """

    alphas: Array
    risk: Array
    trusted: Array
    empty: Array
    psnr: Array
    floor: Array | None
    n_pictures: int
    loss: str


def trust_figure(path: Path, curves: TrustCurves, force: bool = False) -> None:
    """Write `draw`'s figure as PNG.

    Raises:
        InputError: matplotlib is not installed, or `path` exists and `force` is not set, or it cannot be written.
    """
    write_figure(path, draw(curves), force)


def draw(curves: TrustCurves) -> Any:
    """Return a matplotlib figure of three panels over alpha: mean risk and its bound, shares, PSNR inside the mask.

    The floor counts an empty mask as infinite. Its panel leaves those masks out, so with a floor the risk without them
    is drawn, too.

    Raises:
        InputError: matplotlib is not installed.
    """
    figure = empty_figure(12, 4.8)
    figure.suptitle(f"Masks on {curves.n_pictures} pictures, loss '{curves.loss}'", fontsize=12)
    figure.supxlabel(POINTWISE, fontsize=9, color=BOUND)
    risk, shares, psnr = figure.subplots(1, 3)
    measured = {"color": MEASURED, "marker": "o", "markersize": 3, "linewidth": 1.4}
    second = {"color": SECOND, "marker": "s", "markersize": 3, "linewidth": 1.4, "linestyle": ":"}
    bound = {"color": BOUND, "linewidth": 1, "linestyle": "--"}

    risk.plot(curves.alphas, curves.alphas, label="bound on the expected loss: alpha", **bound)
    risk.plot(curves.alphas, curves.risk, label="mean over pictures", **measured)
    if curves.floor is not None:
        others = np.divide(curves.risk, 1 - curves.empty, out=np.full_like(curves.risk, np.nan), where=curves.empty < 1)
        risk.plot(curves.alphas, others, label="mean over non-empty masks (not bounded)", **second)
    risk.set(title="Risk", ylabel="mean loss", ylim=(0, None))

    shares.plot(curves.alphas, 100 * curves.trusted, label="trusted pixels, mean over pictures", **measured)
    shares.plot(curves.alphas, 100 * curves.empty, label="pictures with an empty mask", **second)
    shares.set(title="Trusted share", ylabel="%", ylim=(-3, 103))

    psnr.plot(curves.alphas, curves.psnr, label="mean over non-empty masks", **measured)
    if np.isnan(curves.psnr).all():
        psnr.text(0.5, 0.5, "every mask is empty", ha="center", transform=psnr.transAxes)
        psnr.set(yticks=[])
    elif curves.floor is not None:
        psnr.plot(curves.alphas, curves.floor, label="floor on the expected PSNR (empty mask: infinite)", **bound)
    psnr.set(title="PSNR inside the mask", ylabel="dB")

    for axes in (risk, shares, psnr):
        axes.set(xlabel="alpha", xlim=(0, 1.04 * float(np.max(curves.alphas))))
        legend_below(axes)
    return figure
