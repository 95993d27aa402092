"""A volume as the picture that guides, on the voxels of a result, of the kind that its modality's name says."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veriscale.errors import InputError
from veriscale.imaging.geometry import Grid
from veriscale.imaging.normalisation import levels_of
from veriscale.imaging.resampling import boundaries_on, resampled
from veriscale.imaging.volume import Volume

EDGES = "edges"
"""The modality of guides that may be made of the measurement itself."""
_WHOLE = 1e-3  # what float32 and a slope leave of a whole number
LABELS = "labels"
"""The modality of guides that are label maps: boundaries are taken of them, and not which label is where."""


def picture_on(modality: str, volume: Volume, grid: Grid) -> NDArray[np.float32]:
    """(X, Y, Z) of a grid in [0, 1], NaN where nothing is known.

    Args:
        modality: its name.
        volume: normalised by its own levels; may hold NaN.
        grid: of the result.

    Raises:
        InputError: labels are no whole numbers.

    Source: ours, docs/methods.md#guides-in-use
    """
    if modality.casefold() == LABELS:
        values = volume.values()
        odd = values[np.abs(values - np.rint(values)) > _WHOLE]  # not those that are NaN
        if odd.size:
            raise InputError(
                f"The guide {modality} holds {odd[0]:g}, and labels are whole numbers; give a map of labels, or name "
                "the guide by its contrast."
            )
        return boundaries_on(volume, grid)
    return np.clip(resampled(volume, grid), 0, 1)


def edges_of(measurement: Volume) -> Volume:
    """How steep a measurement is at each voxel, per millimetre, with levels of its own.

    Raises:
        InputError: as `normalisation.levels_of`.

    Source: ours, docs/methods.md#guides-in-use
    """
    values = measurement.values()
    slopes: list[NDArray[Any]] = [
        np.gradient(values, step, axis=axis)
        for axis, (n, step) in enumerate(zip(measurement.shape, measurement.spacing, strict=True))
        if n > 1
    ]
    steep = np.sqrt(sum(np.square(slope) for slope in slopes))
    levels = levels_of(steep, "the edges of the scan")
    return replace(measurement, samples=levels.applied(steep), levels=levels)
