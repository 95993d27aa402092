"""Which files a command works on."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from veriscale.errors import InputError
from veriscale.imaging.formats.registry import EXTENSIONS, is_picture


@dataclass(frozen=True)
class Item:
    """A file, where its results go below the output folder, and the stem of their names."""

    path: Path
    folder: Path
    stem: str


def collect(inputs: Sequence[str | Path], output: Path | None = None) -> tuple[list[Item], bool]:
    """The image files among the inputs; folders are searched with their sub-folders, but not for earlier results.

    Two files of one folder that differ in extension alone get it into their stem, as in cat_jpg.

    Args:
        inputs: files and folders.
        output: where results go; what lies in it is not taken for input.

    Returns:
        The items, and whether there is more than a single file.

    Raises:
        InputError: an input does not exist, a folder holds no image, or two inputs would have one result.
    """
    found: dict[Path, Path] = {}
    for given in map(Path, inputs):
        if given.is_dir():
            pictures = [f for f in sorted(given.rglob("*")) if f.is_file() and is_picture(f)]
            results = _results(given)
            pictures = [f for f in pictures if f not in results and not _inside(f, output, given)]
            if not pictures:
                raise InputError(f"Folder {given} holds no image; known: {', '.join(EXTENSIONS)}.")
            found |= {f: f.parent.relative_to(given) for f in pictures}
        elif given.exists():
            found[given] = Path()
        else:
            raise InputError(f"{given} does not exist.")

    def place(path: Path) -> Path:
        return path.parent if output is None else found[path]

    shared = Counter((place(p), p.stem) for p in found)
    items = [
        Item(p, f, p.stem if shared[place(p), p.stem] == 1 else p.name.replace(".", "_")) for p, f in found.items()
    ]
    names = Counter((place(i.path), i.stem) for i in items)
    for item in items:
        if names[place(item.path), item.stem] > 1:
            raise InputError(f"{item.path} and another input would have the same result; restore them one by one.")
    return items, len(inputs) > 1 or any(Path(i).is_dir() for i in inputs)


def _inside(path: Path, output: Path | None, given: Path) -> bool:
    # An output folder below the input holds results; the input folder itself may be named as output.
    below = (
        output is not None and output.resolve() != given.resolve() and output.resolve().is_relative_to(given.resolve())
    )
    return below and output is not None and path.resolve().is_relative_to(output.resolve())


def _results(folder: Path) -> set[Path]:
    """What earlier runs wrote here, by their run.json."""
    written: set[Path] = set()
    for run in folder.rglob("*.run.json"):
        try:
            names = json.loads(run.read_text(encoding="utf-8"))["outputs"]
            written |= {run.parent / str(name) for name in names}
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            continue  # not one of ours: it claims nothing
    return written
