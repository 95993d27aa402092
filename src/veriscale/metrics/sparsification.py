"""Does the spread know where the errors are: the area under the sparsification error, and the rank correlation."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from veriscale.metrics.draws import checked_draws

Array = npt.NDArray[np.floating]

_PER_OCTAVE, _LOWEST, _HIGHEST = 16, -20, 4  # bins of 4 % from 1e-6 to 16, of pictures on [0, 1]
_BINS = _PER_OCTAVE * (_HIGHEST - _LOWEST) + 2


@dataclass(frozen=True, eq=False)
class OrderSums:
    """Places counted by their spread and by their error, in bins of 4 %; the sums add up over pictures.

    Within a bin places are of equal rank. That moves both numbers by less than 1e-3, and needs no place of its own for
    each of many pictures' pixels.

    Attributes:
        counts: (B, B), places by std of the draws and absolute error of their mean.
        error_by_std: (B,), sum of the absolute errors by std.
        error_by_error: (B,), by the error itself.
    """

    counts: npt.NDArray[np.int64]
    error_by_std: npt.NDArray[np.float64]
    error_by_error: npt.NDArray[np.float64]

    def __add__(self, other: "OrderSums") -> "OrderSums":
        return OrderSums(
            self.counts + other.counts,
            self.error_by_std + other.error_by_std,
            self.error_by_error + other.error_by_error,
        )


def order_sums(draws: Array, truth: Array) -> OrderSums:
    """Sum what one picture contributes to `ause` and `spearman`.

    Args:
        draws: (K, …), K ≥ 2 posterior draws at dial 1, on a scale on which 1 is large.
        truth: (…).

    Raises:
        InputError: as `checked_draws`.
    """
    samples = checked_draws(draws, truth)
    error = np.abs(samples.mean(axis=0) - truth).ravel()
    by_std, by_error = _binned(samples.std(axis=0, ddof=1).ravel()), _binned(error)
    return OrderSums(
        np.bincount(by_std * _BINS + by_error, minlength=_BINS**2).reshape(_BINS, _BINS),
        np.bincount(by_std, error, _BINS).astype(np.float64),
        np.bincount(by_error, error, _BINS).astype(np.float64),
    )


def ause(sums: OrderSums) -> float:
    """Area under the sparsification error: 0 where the std orders the places as their errors do; lower is better.

    The sparsification curve is the mean absolute error of the places that are left when the share f of largest std is
    taken out, over that of all; the oracle takes out the largest errors. The area between both curves over f from 0 to
    1 is 1 − the area under the oracle's for a std that knows nothing. NaN where nothing errs.

    Source: Ilg et al. 2018, with the absolute error in the place of the end-point error.
    """
    total = sums.error_by_std.sum()
    if total == 0:
        return math.nan
    area = _area(sums.counts.sum(axis=1), sums.error_by_std) - _area(sums.counts.sum(axis=0), sums.error_by_error)
    return area / float(total)


def spearman(sums: OrderSums) -> float:
    """Rank correlation of std and absolute error over the places, in [−1, 1]; NaN where one of them is constant.

    An exact posterior reaches 1 only where its spreads differ by far more than one draw of an error does.

    Source: Spearman 1904, ties by mean ranks.
    """
    ranks = []
    for count in (sums.counts.sum(axis=1), sums.counts.sum(axis=0)):
        centred = np.cumsum(count) - (count + count.sum()) / 2
        ranks.append((centred, float(np.sum(count * centred**2))))
    (a, of_a), (b, of_b) = ranks
    return float(a @ sums.counts @ b) / math.sqrt(of_a * of_b) if of_a and of_b else math.nan


def _binned(values: Array) -> npt.NDArray[np.intp]:
    """0 is of what lies below the lowest, 0 itself included."""
    octaves = np.log2(np.maximum(values, 2.0 ** (_LOWEST - 1)))
    bins: npt.NDArray[np.intp] = np.floor((octaves - _LOWEST) * _PER_OCTAVE).astype(np.intp) + 1
    return bins.clip(0, _BINS - 1)


def _area(counts: npt.NDArray[np.int64], errors: npt.NDArray[np.float64]) -> float:
    """∫ E(r)/r dr over the share r that is left, E(r) the error of the r·N lowest places; straight within a bin."""
    kept = counts > 0
    slopes = errors[kept] / counts[kept]  # mean error of a bin
    end, total = np.cumsum(counts[kept]), np.cumsum(errors[kept])
    start = end - counts[kept]
    lasting = (total - slopes * end)[1:]  # E(r) = lasting + slope·r; of the first bin it is 0
    return float((slopes * counts[kept]).sum() + (lasting * np.log(end[1:] / start[1:])).sum())
