"""What a result needs of the NIfTI file that was read."""

from dataclasses import dataclass, replace

from veriscale.imaging.nifti.header import NiftiHeader, parsed
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

    @property
    def step(self) -> float:
        """Between neighbours of the file's numbers, in the scan's units; 0 of floating point."""
        return self.stored.step

    def sliced(self, axis: int) -> "NiftiOrigin":
        """The same of a file that says another stored axis is from slice to slice."""
        header = parsed(self.header.block)
        row, column, _ = header.get_dim_info()
        others = [None if told == axis else told for told in (row, column)]
        header.set_dim_info(*others, axis)
        return replace(self, header=replace(self.header, block=header.binaryblock, slice_axis=axis))
