"""Which files a command works on."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from veriscale.errors import InputError
from veriscale.imaging.write import EXTENSIONS


@dataclass(frozen=True)
class Item:
    """A file, and where its results go below the output folder."""

    path: Path
    folder: Path


def collect(inputs: Sequence[str | Path]) -> tuple[list[Item], bool]:
    """The image files among the inputs; folders are searched with their sub-folders.

    Returns:
        The items, and whether there is more than a single file.

    Raises:
        InputError: an input does not exist, or a folder holds no image.
    """
    items: list[Item] = []
    for given in map(Path, inputs):
        if given.is_dir():
            found = sorted(f for f in given.rglob("*") if f.is_file() and f.suffix.lower() in EXTENSIONS)
            if not found:
                raise InputError(f"Folder {given} holds no image; known: {', '.join(EXTENSIONS)}.")
            items += [Item(f, f.parent.relative_to(given)) for f in found]
        elif given.exists():
            items.append(Item(given, Path()))
        else:
            raise InputError(f"{given} does not exist.")
    many = len(inputs) > 1 or any(Path(i).is_dir() for i in inputs)
    return items, many
