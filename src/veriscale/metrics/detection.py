"""How well a score tells bad pixels from good ones."""

import numpy as np
from numpy.typing import NDArray


def area_under_roc(score: NDArray[np.floating], bad: NDArray[np.bool_]) -> float:
    """P(a bad pixel scores higher than a good one), ties counted half: 0.5 by chance, 1 when they never mix.

    Args:
        score: any shape.
        bad: of the same shape, with at least one pixel of either kind.

    Source: Mann, Whitney 1947.
    """
    values, position = np.unique(score.ravel(), return_inverse=True)
    bads = np.bincount(position, bad.ravel(), len(values))
    goods = np.bincount(position, ~bad.ravel(), len(values))
    below = np.cumsum(goods) - goods
    return float((bads * (below + goods / 2)).sum() / (bads.sum() * goods.sum()))
