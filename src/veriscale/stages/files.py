"""Which files the patterns of a recipe stand for, and whose they are."""

import glob
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from veriscale.errors import InputError
from veriscale.imaging.dicom.preamble import is_dicom
from veriscale.imaging.formats.registry import is_picture
from veriscale.imaging.npz import EXTENSION
from veriscale.imaging.scan_name import is_scan, split_scan_name
from veriscale.stages.subjects import group_of, subject_of


@dataclass(frozen=True)
class Found:
    """A file of training data: a photograph, a NIfTI file, an archive of arrays, or one of a DICOM series.

    Attributes:
        path: where it is.
        base: the pattern's own root: the folder that was given, or what stands before its first *, ? or [.
        subject: whose scan it is, or may be.
        group: the subject's, as folders tell it: a path, which is told nobody.
    """

    path: Path
    base: Path
    subject: str
    group: str


def find(pattern: str, root: Path) -> list[Found]:
    """The files of a glob under `root`, of a folder, or a single one, sorted; of a DICOM series all files or none.

    Raises:
        InputError: it matches no picture and no scan.
    """
    given = Path(pattern)
    alone = given.is_absolute() or given.exists()
    try:
        places = [given] if alone else sorted(root.glob(pattern))
    except (ValueError, NotImplementedError) as error:
        raise InputError(f"Data {pattern!r} is not a pattern of files: {error}.") from error
    base = given if alone else root.joinpath(*takewhile(lambda part: not glob.has_magic(part), given.parts))
    base = base if base.is_dir() else base.parent
    every = (f for p in places for f in (p.rglob("*") if p.is_dir() else [p]))
    found = {f: False for f in every if f.is_file() and _known(f)}
    for folder in {f.parent for f in found if is_series_file(f)}:
        found |= {f: True for f in folder.iterdir() if f.is_file() and is_dicom(f)}
    if not found and given.is_absolute():
        what = "holds no picture and no scan" if given.exists() else "is not there"
        raise InputError(f"Data {pattern} {what}; give a folder of photographs, NIfTI files or DICOM series.")
    if not found:
        raise InputError(
            f"Data {pattern!r} matches no picture or scan under {root}; set VERISCALE_DATA to the data's root."
        )
    files = []
    for file, series in sorted(found.items()):
        subject = subject_of(split_scan_name(file)[0], file.parent, base, series)
        files.append(Found(file, base, subject, str(group_of(subject, file.parent))))
    return files


def is_series_file(file: Path) -> bool:
    """Whether a file that was found is one of a DICOM series."""
    return not is_picture(file) and not is_single(file)


def is_single(file: Path) -> bool:
    """Whether a file's name says that it holds whole volumes."""
    return is_scan(file) or file.suffix.lower() == EXTENSION


def names_of(files: Iterable[Found], root: Path) -> list[str]:
    """What the files are called: below `root`, or below the folder that all patterns have in common."""
    found = list(files)
    inside = all(f.path.is_relative_to(root) for f in found)
    above = root if inside else Path(os.path.commonpath([f.base.absolute() for f in found]))
    if any(is_series_file(f.path) and f.path.parent.absolute() == above for f in found):
        above = above.parent  # a series is called by its folder
    return [(f.path if inside else f.path.absolute()).relative_to(above).as_posix() for f in found]


def merged(sets: Sequence[list[Found]]) -> list[Found]:
    """The files of several patterns, sorted, each once, as the first that found it has it."""
    found: dict[Path, Found] = {}
    for file in (f for s in sets for f in s):
        found.setdefault(file.path, file)
    return [found[path] for path in sorted(found)]


def _known(file: Path) -> bool:
    return is_picture(file) or is_single(file) or is_dicom(file)
