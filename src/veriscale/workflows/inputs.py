"""Which files are taken for input, of files, folders and patterns."""

import glob
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from veriscale.errors import InputError
from veriscale.imaging.formats.registry import EXTENSIONS, format_beginning, is_picture, unread
from veriscale.imaging.npz import EXTENSION as ARCHIVE
from veriscale.imaging.scan_name import EXTENSIONS as SCANS
from veriscale.imaging.scan_name import is_scan, split_scan_name
from veriscale.workflows.earlier_results import made_beside, measured_of_others
from veriscale.workflows.scans.reading import holds_series, holds_source, takes_scan

Say = Callable[[str], None]

OF_SCANS = "`--{}` is of scans, and this is a photograph; leave it out."


@dataclass(frozen=True)
class Item:
    """A file, where its results go below the output folder, and the stem of their names."""

    path: Path
    folder: Path
    stem: str


def collect(
    inputs: Sequence[str | Path],
    output: Path | None = None,
    say: Say = lambda line: None,
    scans: bool = False,
    truths: bool = False,
) -> tuple[list[Item], bool]:
    """The image files among the inputs; folders are searched with their sub-folders, but not for earlier results.

    Two files of one folder that differ in extension alone get it into their stem, as in cat_jpg.

    Args:
        inputs: files, folders, and patterns with *, ? or [ for names that a shell has left as they are: a pattern takes
            what a folder takes, and with ** keeps sub-folders too.
        output: where results go; what lies in it is not taken for input.
        say: told what a folder or a pattern leaves out.
        scans: whether scans are taken too: files, and folders of a DICOM series, each of which is one input.
        truths: whether measurements are left out of folders where what was measured is among the inputs too.

    Returns:
        The items, and whether there is more than a single file.

    Raises:
        InputError: there is no input, one does not exist, a folder or a pattern holds no image, or two would have one
            result.
    """
    if not inputs:
        raise InputError("No input is given; name a picture or a folder.")
    found: dict[Path, Path] = {}
    several = len(inputs) > 1
    for given in map(Path, inputs):
        if scans and holds_series(given):
            found[given] = Path()
        elif given.is_dir():
            several = True
            if not (pictures := _of_folder(given, output, say, scans)):
                raise InputError(
                    f"Folder {given} holds no image; known: {_known_kinds(scans)}.{_archives(given, scans)}"
                )
            found |= pictures
        elif given.exists():
            found[given] = Path()
        elif glob.has_magic(str(given)):
            found |= _of_pattern(given, output, say, scans)
        else:
            raise InputError(f"{given} does not exist.")

    if truths and (measured := measured_of_others(found) - set(map(Path, inputs))):
        these = "1 measurement is" if len(measured) == 1 else f"{len(measured)} measurements are"
        say(f"{these} left out: what was measured is here too.")
        found = {path: folder for path, folder in found.items() if path not in measured}

    def place(path: Path) -> Path:
        return path.parent if output is None else found[path]

    shared = Counter((place(p), split_scan_name(p)[0]) for p in found)
    items = []
    for path, folder in found.items():
        stem, extension = split_scan_name(path)
        plain = shared[place(path), stem] == 1 or extension in (*SCANS, "")
        items.append(Item(path, folder, stem if plain else path.name.replace(".", "_")))
    names = Counter((place(i.path), i.stem) for i in items)
    for item in items:
        if names[place(item.path), item.stem] > 1:
            if takes_scan(item.path):
                raise InputError("Two scans would have results of one name; give each in turn with an `--output`.")
            raise InputError(f"{item.path} and another input would have the same result; restore them one by one.")
    return items, several or len(items) > 1


def _of_folder(folder: Path, output: Path | None, say: Say, scans: bool) -> dict[Path, Path]:
    """The pictures of a folder, each with the sub-folder it lies in."""
    files = [f for f in sorted(folder.rglob("*")) if _known(f, scans) or unread(f) or _begins_as_picture(f)]
    taken = _pictures(files, output, folder, lambda left: say(f"Folder {folder}: {left}"), scans)
    if scans:
        taken += [f for f in sorted(folder.rglob("*")) if not _inside(f, output, folder) and holds_source(f)]
    return {f: f.parent.relative_to(folder) for f in taken}


def _of_pattern(pattern: Path, output: Path | None, say: Say, scans: bool) -> dict[Path, Path]:
    """The pictures that a pattern stands for, those of folders among them; with ** each with its sub-folder."""
    if not (matches := sorted(map(Path, glob.glob(str(pattern), recursive=True)))):
        raise InputError(f"No file matches {pattern}; check the folder and the pattern.")
    base, found = Path(*takewhile(lambda part: not glob.has_magic(part), pattern.parts)), dict[Path, Path]()
    recursive = "**" in pattern.parts
    for folder in [m for m in matches if m.is_dir() and not recursive]:
        if scans and holds_series(folder):
            found |= {folder: Path()} if holds_source(folder) else {}
        else:
            found |= _of_folder(folder, output, say, scans)
    files = [m for m in matches if not m.is_dir()]
    for f in _pictures(files, output, base, lambda left: say(f"Pattern {pattern}: {left}"), scans):
        found[f] = f.parent.relative_to(base) if recursive else Path()
    if not found:
        raise InputError(
            f"What matches {pattern} is no picture, or a result of an earlier run; known: {_known_kinds(scans)}."
        )
    return found


def _pictures(files: Iterable[Path], output: Path | None, given: Path, say: Say, scans: bool) -> list[Path]:
    """Those that can be taken, without what lies in the output or earlier runs have made; what is left out is said."""
    theirs = [f for f in files if not f.is_dir() and not _inside(f, output, given)]
    made = made_beside(theirs)
    kinds = {f: _left_out(f, scans) for f in theirs if f not in made}
    if left := Counter(kind for kind in kinds.values() if kind is not None):
        these = "1 file is" if left.total() == 1 else f"{left.total()} files are"
        say(f"{these} left out: {', '.join(f'{n} {kind}' for kind, n in sorted(left.items()))}.")
    return [f for f, kind in kinds.items() if kind is None]


def _known_kinds(scans: bool) -> str:
    return ", ".join((*EXTENSIONS, *SCANS)) + " and DICOM series" if scans else ", ".join(EXTENSIONS)


def _archives(folder: Path, scans: bool) -> str:
    """What is to be done with a folder of NPZ archives."""
    there = scans and any(f.suffix.lower() == ARCHIVE for f in folder.rglob("*"))
    return f" {ARCHIVE} archives serve for training alone; write NIfTI files of them." if there else ""


def _known(file: Path, scans: bool) -> bool:
    return is_picture(file) or (scans and is_scan(file))


def _left_out(file: Path, scans: bool) -> str | None:
    """Of which kind a file is that is not taken for a picture; None for a picture."""
    if not file.is_file():
        return "link to nothing" if file.is_symlink() else "no regular file"
    return None if _known(file, scans) else file.suffix.lower() or "without extension"


def _begins_as_picture(file: Path) -> bool:
    """Whether a file whose name has no extension is a picture by its first bytes."""
    try:
        if file.suffix or not file.is_file():
            return False
        with file.open("rb") as stream:
            return format_beginning(stream.read(16)) is not None
    except OSError:
        return False


def _inside(path: Path, output: Path | None, given: Path) -> bool:
    # An output folder below the input holds results; the input folder itself may be named as output.
    below = (
        output is not None and output.resolve() != given.resolve() and output.resolve().is_relative_to(given.resolve())
    )
    return below and output is not None and path.resolve().is_relative_to(output.resolve())
