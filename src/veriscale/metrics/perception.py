"""Does a picture look like its truth, whatever its pixels: two distances between distributions, without networks.

`sliced_w2` compares what small patches look like, `energy_w2` how much detail there is and how unevenly it is spread.
A claim about perception is made where the two agree.

Ours: each number is taken per picture, between the picture and its own truth, and averaged over pictures; it is not the
distance between two pooled sets. A pooled set lets one picture's missing grain be made up for by another's excess, and
would have to be sorted anew in every bootstrap sample; per-picture numbers pair, average and resample as they are.
"""

from collections.abc import Iterable
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from veriscale.errors import InputError
from veriscale.imaging.colour import luma
from veriscale.metrics.distortion import check_same_shape
from veriscale.metrics.window import gaussian_taps, smooth

Array = npt.NDArray[np.floating]

PATCH = 7
DIRECTIONS = 512
OCTAVES = 3
SMALLEST = 32  # below this the coarsest octave has less than 8 pixels a side
BINOMIAL = np.array([1, 4, 6, 4, 1]) / 16
ENERGY_WINDOW = gaussian_taps(2.0, 6)
ENERGY_FLOOR = 1.0  # squared grey levels of 255: rounding to 8 bits alone leaves 1/12


class EnergyDistance(NamedTuple):
    """What `energy_w2` returns: natural log units, one value per picture.

    Attributes:
        mean: (N,) mean of the octaves.
        octaves: (N, 3), finest first.
    """

    mean: npt.NDArray[np.float64]
    octaves: npt.NDArray[np.float64]


def sliced_w2(images: Iterable[Array], truths: Iterable[Array]) -> npt.NDArray[np.float64]:
    """Return, per picture, the sliced 2-Wasserstein distance between its 7×7 luma patches and its truth's.

    The patches' means are removed, so brightness does not count. Every seventh patch is used, on a sheared lattice that
    meets every phase of a ×2, ×3 or ×4 grid equally often; projections are on 512 fixed unit directions.

    Args:
        images: N pictures (H, W, C), [0, 1] but for overshoot (not clipped); at least 32 pixels a side.
        truths: their N truths, of the same shapes.

    Returns:
        (N,) root mean square over directions, on the 0–255 scale of luma: 0 for the truth itself.

    Raises:
        InputError: a shape differs from its truth's, or a picture is too small.

    Source: Bonneel et al. 2015; the choice of patches is ours.
    """
    distances = []
    for image, truth in zip(images, truths, strict=True):
        x, y = _luma_pair(image, truth)
        distances.append(float(np.sqrt(np.mean(np.square(_sorted_projections(x) - _sorted_projections(y))))))
    return np.array(distances, np.float64)


def energy_w2(images: Iterable[Array], truths: Iterable[Array]) -> EnergyDistance:
    """Return, per picture, the 2-Wasserstein distance between histograms of local log-energy, octave by octave.

    An octave is what a binomial smoothing takes away from a level of its pyramid; local energy is its square under a
    Gaussian of std 2 pixels of that level, and one squared grey level is added before the natural logarithm.

    Args and raises as `sliced_w2`.

    Source: ours, after the steerable-pyramid statistics of Portilla and Simoncelli 2000.
    """
    rows = []
    for image, truth in zip(images, truths, strict=True):
        pairs = zip(*(_sorted_log_energies(field) for field in _luma_pair(image, truth)), strict=True)
        rows.append([float(np.sqrt(np.mean(np.square(x - y)))) for x, y in pairs])
    octaves = np.array(rows, np.float64).reshape(-1, OCTAVES)
    return EnergyDistance(octaves.mean(axis=1), octaves)


def _luma_pair(image: Array, truth: Array) -> list[npt.NDArray[np.float32]]:
    check_same_shape(image, truth)
    if min(image.shape[:2]) < SMALLEST:
        raise InputError(
            f"perception needs pictures of at least {SMALLEST} pixels a side, got {image.shape[1]}×{image.shape[0]}: "
            "use a larger picture"
        )
    fields = (luma(samples.astype(np.float64)) * 255 for samples in (image, truth))
    return [(field - field.mean()).astype(np.float32) for field in fields]  # small numbers keep float32 exact enough


@cache
def _directions() -> npt.NDArray[np.float32]:
    rows = np.random.default_rng(0).standard_normal((DIRECTIONS, PATCH * PATCH))
    rows -= rows.mean(axis=1, keepdims=True)  # projecting on these removes the patch's mean
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows.astype(np.float32)


def _sorted_projections(field: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    windows = sliding_window_view(field, (PATCH, PATCH))
    lattice = [windows[row::PATCH, 3 * row % PATCH :: PATCH].reshape(-1, PATCH * PATCH) for row in range(PATCH)]
    projections: npt.NDArray[np.float32] = _directions() @ np.concatenate(lattice).T
    return np.sort(projections, axis=1)


def _sorted_log_energies(field: npt.NDArray[np.floating]) -> list[npt.NDArray[np.floating]]:
    energies = []
    for _ in range(OCTAVES):
        coarse = smooth(field, BINOMIAL)
        energies.append(np.sort(np.log(smooth(np.square(field - coarse), ENERGY_WINDOW) + ENERGY_FLOOR), axis=None))
        field = coarse[::2, ::2]
    return energies
