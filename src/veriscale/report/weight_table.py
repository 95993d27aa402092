"""Where each guide counted, as small pictures in a table: noise levels down, guides across."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from veriscale.report.colourmap import Scale, to_index
from veriscale.report.embedding import embed_map

_WHOLE = Scale(top=1.0, above=0.0)
_WIDTH = 128  # pixels on the page


@dataclass(frozen=True, eq=False)
class LevelMaps:
    """Of one picture at one noise level.

    Attributes:
        level: in words.
        maps: (H, W) in [0, 1] by name, as they are looked at; the same names at every level.
        aspect: height of the picture over its width, in millimetres.
    """

    level: str
    maps: Mapping[str, NDArray[np.floating]]
    aspect: float


def weight_table(levels: Sequence[LevelMaps]) -> dict[str, object] | None:
    """What the page's template draws; None where there is nothing to draw."""
    if not levels:
        return None
    height = max(1, round(_WIDTH * levels[0].aspect))
    rows = [(each.level, [embed_map(to_index(m, _WHOLE)) for m in each.maps.values()]) for each in levels]
    return {"names": list(levels[0].maps), "rows": rows, "width": _WIDTH, "height": height}
