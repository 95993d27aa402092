"""A DICOM series as a volume, and what a result needs of it."""

from dataclasses import dataclass

import numpy as np

from veriscale.imaging.dicom.attribute import value
from veriscale.imaging.dicom.series import Series
from veriscale.imaging.geometry import checked_affine
from veriscale.imaging.orientation import Orientation, orientation_of
from veriscale.imaging.stored_numbers import StoredNumbers
from veriscale.imaging.volume import Volume, volume_of

SLICES = 2  # the axis of a series from slice to slice


@dataclass(frozen=True)
class SeriesOrigin:
    """What a result needs of a DICOM series: a `volume.Origin`.

    Attributes:
        orientation: of rows, columns and slices.
        series: as it was read.
    """

    orientation: Orientation
    series: Series

    slice_axis = SLICES
    stored = StoredNumbers(np.dtype(np.float32))

    @property
    def step(self) -> float:
        """Between neighbours of the stored values, in the scanner's units."""
        return self.series.source_step


def identifiers(volume: Volume, keyword: str) -> set[str]:
    """What the headers of a volume's series say; nothing of another kind of scan."""
    if not isinstance(volume.origin, SeriesOrigin):
        return set()
    return {str(told) for header in volume.origin.series.datasets if (told := value(header, keyword)) is not None}


def volume_of_series(series: Series) -> Volume:
    """The volume of a series.

    Raises:
        InputError: as `geometry.checked_affine` and `normalisation.levels_of`.
    """
    affine = checked_affine(series.affine, "the series")
    return volume_of(series.samples, affine, SeriesOrigin(orientation_of(affine), series), "the series")
