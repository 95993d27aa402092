"""Names of scans' files, in which `.nii.gz` is one extension."""

import os
from pathlib import Path

EXTENSIONS = (".nii.gz", ".nii")


def split_scan_name(path: str | os.PathLike[str]) -> tuple[str, str]:
    """Stem and extension of a file's name, as written: `sub-01_T1w` and `.nii.gz`; a folder's has no extension."""
    name = Path(path).name
    if Path(path).is_dir():
        return Path(path).resolve().name, ""
    extension = next((e for e in EXTENSIONS if name.lower().endswith(e)), Path(path).suffix)
    return name[: len(name) - len(extension)], name[len(name) - len(extension) :]


def split_contrast(path: str | os.PathLike[str]) -> tuple[str, str]:
    """What a scan's name begins with, and its contrast: what follows the last `_` of its stem, or the whole stem.

    `sub-01` and `T1w` of `sub-01_T1w.nii.gz`, nothing and `T1` of `sub-01/T1.nii.gz`.
    """
    begins, _, contrast = split_scan_name(path)[0].rpartition("_")
    return begins, contrast


def is_scan(path: str | os.PathLike[str]) -> bool:
    """Whether a file's name says that it is a scan in one file."""
    return split_scan_name(path)[1].lower() in EXTENSIONS
