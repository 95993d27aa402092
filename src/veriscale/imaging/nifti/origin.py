"""What a result needs of the NIfTI file that was read."""

from dataclasses import dataclass

from veriscale.imaging.nifti.header import NiftiHeader
from veriscale.imaging.orientation import Orientation
from veriscale.imaging.stored_numbers import StoredNumbers


@dataclass(frozen=True, eq=False)
class NiftiOrigin:
    """A `volume.Origin`.

    Attributes:
        header: of the file.
        orientation: of its axes.
        index: which volume was read, counted from 0; None where the file holds one.
    """

    header: NiftiHeader
    orientation: Orientation
    index: int | None = None

    @property
    def slice_axis(self) -> int:
        """The stored axis from slice to slice."""
        return self.header.slice_axis

    @property
    def stored(self) -> StoredNumbers:
        """The file's numbers."""
        return self.header.stored
