"""Whose scan a file is: by its name and by the folders that it lies in."""

import re
from pathlib import Path

_BIDS = re.compile(r"(sub-[0-9a-zA-Z+]+)(?:_.*)?")


def subject_of(stem: str, folder: Path, base: Path, series: bool = False) -> str:
    """The subject of a scan.

    That is the `sub-XX` of BIDS, of the name or else of the nearest folder that has one; else the outermost folder
    below the root of the pattern that found it, as in `<root>/<subject>/<visit>/T1.nii.gz`; else what its name begins
    with up to the first `_`, as in `<root>/patient07_T1.nii.gz`. A DICOM series without such a folder goes by the name
    of its own.

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
    return folder.name if series else stem.partition("_")[0]
