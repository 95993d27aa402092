"""What a restoration needs of a picture, whatever kind of file it came from."""

from hashlib import blake2b
from typing import Any, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Place = TypeVar("Place", contravariant=True)


class Picture(Protocol[Place]):
    """A photograph, `imaging.photo.Photo`, or a scan, `imaging.volume.Volume`.

    They differ in what says where a result lies, the `Place`: of a photograph it is the size (H, W) over the same
    extent, of a scan the affine (4, 4) of its grid, which a requested spacing may carry beyond that extent.
    """

    @property
    def channels(self) -> int:
        """Of the samples; transparency is not counted."""

    @property
    def affine(self) -> NDArray[np.float64]:
        """(4, 4), from pixels to millimetres."""

    def content(self) -> str:
        """A hash of the samples."""

    def planes(self, channels: int | None = None) -> Array:
        """(C, …), float32, with so many channels; with its own by default."""

    def own(self, planes: Array, shape: tuple[int, ...]) -> Array:
        """Planes (C', …) cut to a spatial `shape`, with this picture's channels."""

    def like(self, planes: Array, place: Place, /) -> Self:
        """A picture of planes (C', …) that lies at a place, with everything that must survive."""


def content_hash(values: NDArray[Any]) -> str:
    """Hash of samples, shape and type: two pictures do not share their noise."""
    digest = blake2b(f"{values.dtype.str}{values.shape}".encode(), digest_size=16)
    digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()
