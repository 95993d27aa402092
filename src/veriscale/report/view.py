"""What a reader can look at on the page: a picture, or a map with its colour scale."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from veriscale.report.colourmap import scale_of, to_index
from veriscale.report.embedding import embed_map, reduce_map

Array = npt.NDArray[np.floating]


@dataclass(frozen=True)
class Legend:
    """The numbers under a map's colour bar.

    Attributes:
        ticks: evenly spaced from the first colour to the last, as text.
        unit: of the ticks.
        above: what to say of values beyond the last colour; empty where there are none.
    """

    ticks: tuple[str, ...]
    unit: str
    above: str


@dataclass(frozen=True)
class View:
    """One thing to show.

    Attributes:
        key: short name, unique on the page, used in the page's address.
        label: what the reader chooses it by.
        caption: what it shows, in plain words.
        uri: the picture as a data: URI.
        dial: dial value, for the positions of the slider alone.
        legend: for maps alone.
    """

    key: str
    label: str
    caption: str
    uri: str
    dial: float | None = None
    legend: Legend | None = None


def dial_caption(dial: float, sigma0: float | None = None) -> tuple[str, str]:
    """What a position of the dial is called, and what it means; `sigma0` where that was asked for instead."""
    title = f"Dial {dial:g}"
    if sigma0:
        return (
            f"σ₀ = {sigma0:g}",
            "The draw began at this noise level: the higher, the more of it is plausible detail.",
        )
    if dial == 0:
        return title, "Faithful: closest to the truth on average, and smooth where the measurement does not tell."
    if dial == 1:
        return title, "Vivid: one picture that could be the truth. Its finest detail is plausible, not measured."
    return title, f"Between faithful and vivid: {percent(dial)} of the extra error a full draw would have."


def map_view(key: str, label: str, caption: str, values: Array) -> View:
    """Draw a (H, W) map of non-negative values in [0, 1] units, its legend in percent of the full range."""
    scale = scale_of(values)
    shown, factor = reduce_map(values)
    if factor > 1:
        caption += f" Shown at 1/{factor} of its size, each pixel the mean of {factor}×{factor}."
    above = f"{percent(scale.above)} of the pixels lie above {percent(scale.top)} and have the last colour."
    legend = Legend(
        ticks=tuple(f"{100 * scale.top * quarter / 4:.3g}" for quarter in range(5)),
        unit="% of the full range",
        above=above if scale.above > 0 else "",
    )
    return View(key, label, caption, embed_map(to_index(shown, scale)), legend=legend)


def over_channels(values: Array) -> Array:
    """Return the root mean square over channels of (H, W) or (H, W, C) values: (H, W)."""
    if values.ndim == 2:
        return np.abs(values)
    return np.asarray(np.sqrt(np.mean(np.square(values), axis=-1)))


def percent(share: float) -> str:
    """Write a share of 1 as percent, the sign kept on the number's line: 0.0213 is 2.13 %."""
    return f"{100 * share:.3g}\N{NO-BREAK SPACE}%"
