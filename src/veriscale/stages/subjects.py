"""Whose scan a file is, and of which group: by its name and by the folders that it lies in."""

import re
from collections.abc import Iterable
from pathlib import Path, PurePath

from veriscale.imaging.bids import SUFFIXES
from veriscale.imaging.scan_name import is_scan

_BIDS = re.compile(r"(sub-[0-9a-zA-Z+]+)(?:_.*)?")
_CONTRASTS = {name.upper() for name in (*SUFFIXES, "T1", "T1C", "T1CE", "T2")}


def subject_of(stem: str, folder: Path, base: Path, series: bool = False) -> str:
    """The subject of a scan.

    That is the `sub-XX` of BIDS, of the name or else of the nearest folder that has one; else the outermost folder
    below the root of the pattern that found it, as in `<root>/<subject>/<visit>/T1.nii.gz`; else what its name begins
    with up to the first `_`, as in `<root>/patient07_T1.nii.gz`. The name of a DICOM series is that of its own folder,
    and so is that of a file which begins with a contrast, as in `<root>/T1.nii.gz`.

    Args:
        stem: the file's name without its extension.
        folder: that it lies in, or a series' own.
        base: the pattern's own root, the folder or one above it.
        series: whether it is a DICOM series, whose files' names tell nothing.

    Source: ours, docs/methods.md#training; BIDS 1.10 for the first.
    """
    names = [part for part in reversed(folder.parts) if _BIDS.fullmatch(part)]
    if found := _BIDS.fullmatch("" if series else stem) or (_BIDS.fullmatch(names[0]) if names else None):
        return found[1]
    if below := folder.relative_to(base).parts:
        return below[0]
    begins = stem.partition("_")[0]
    return folder.name if series or begins.upper() in _CONTRASTS else begins


def is_named(subject: str) -> bool:
    """Whether the files themselves say whose they are, by the `sub-XX` of BIDS."""
    return _BIDS.fullmatch(subject) is not None


LIKE_GROUPS = "scans of one name lie in several folders, or scans of several names in one"
"""What is said of those whom `perhaps_groups` finds."""
NAMED_APART = "if each of these is a patient, call them sub-01, sub-02 and so on, each by a number of its own"
"""What would do."""


def perhaps_groups(scans: Iterable[tuple[str, PurePath]]) -> list[str]:
    """Subjects who look like several patients, as a group of them does, and visits do.

    Below a subject's folder others hold scans of one name, or one folder NIfTI files whose names begin with different
    words that are no contrasts; or what is called `sub-XX` lies with scans of one name in several places.

    Args:
        scans: whose each is, and where it lies; of a series its folder.

    Source: ours, docs/methods.md#training.
    """
    places: dict[tuple[str, str], set[PurePath]] = {}
    words: dict[tuple[str, PurePath], set[str]] = {}
    for subject, path in scans:
        named = is_named(subject)
        own = [at for at in path.parents if at.name == subject] if named else []
        places.setdefault((subject, path.name), set()).add(own[-1].parent if own else path.parent)
        if not named and is_scan(path):
            words.setdefault((subject, path.parent), set()).add(path.name.partition(".")[0].partition("_")[0])
    found = {subject for (subject, _), several in places.items() if len(several) > 1}
    for (subject, _), begins in words.items():
        if len({word for word in begins if word.upper() not in _CONTRASTS}) > 1:
            found.add(subject)
    return sorted(found)


def group_of(subject: str, folder: Path) -> Path:
    """What a subject's own folder lies in, or its files where it has none: `<group>/<subject>/<visit>/T1.nii.gz`.

    Args:
        subject: of `subject_of`.
        folder: that a file of it lies in, or a series' own.

    Source: ours, docs/methods.md#training.
    """
    own = next((at for at in (folder, *folder.parents) if subject in (at.name, at.name.partition("_")[0])), None)
    return folder if own is None else own.parent
