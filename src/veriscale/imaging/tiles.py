"""Tiles: rectangles that cover a picture, each with the halo its computation needs."""

from dataclasses import dataclass

from veriscale.errors import InputError

Window = tuple[slice, slice]


@dataclass(frozen=True)
class Tile:
    """One tile.

    Attributes:
        core: the pixels this tile is responsible for; the cores of all tiles partition the picture.
        window: the core and its halo, cut at the picture's edges.
        inside: the core, counted from the window's corner.
    """

    core: Window
    window: Window
    inside: Window

    def scaled(self, factor: int) -> "Tile":
        """The same tile on a grid finer by an integer factor."""
        return Tile(*((_scaled(w[0], factor), _scaled(w[1], factor)) for w in (self.core, self.window, self.inside)))


def tiles(height: int, width: int, size: int, halo: int, align: int = 1) -> list[Tile]:
    """Cover (height, width) with tiles of equal core size, row by row.

    Args:
        height: of the picture, a multiple of `align`.
        width: likewise.
        size: side of a core at most, a multiple of `align` at least `align`.
        halo: pixels around a core, a multiple of `align`.
        align: windows begin and end at its multiples: the stride of the network.

    Raises:
        InputError: the numbers are not multiples of `align`.
    """
    if any(n % align for n in (height, width, size, halo)) or size < align:
        raise InputError(f"Tiles of {size} with a halo of {halo} on {height}×{width} are not multiples of {align}.")
    rows, columns = _cuts(height, size, align), _cuts(width, size, align)
    found = []
    for row in rows:
        for column in columns:
            window = tuple(
                slice(max(0, c.start - halo), min(n, c.stop + halo)) for c, n in ((row, height), (column, width))
            )
            inside = tuple(
                slice(c.start - w.start, c.stop - w.start) for c, w in zip((row, column), window, strict=True)
            )
            found.append(Tile((row, column), (window[0], window[1]), (inside[0], inside[1])))
    return found


def _cuts(length: int, size: int, align: int) -> list[slice]:
    count = -(-length // size)
    even = -(-length // (count * align)) * align  # tiles of about equal size: no sliver at the end
    return [slice(start, min(start + even, length)) for start in range(0, length, even)]


def _scaled(part: slice, factor: int) -> slice:
    return slice(part.start * factor, part.stop * factor)
