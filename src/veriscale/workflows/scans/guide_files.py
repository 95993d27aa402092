"""Which file of a folder guides a scan: found by names."""

import re
from collections.abc import Sequence
from pathlib import Path

from veriscale.errors import InputError
from veriscale.imaging.bids import BidsName, bids_name
from veriscale.imaging.scan_name import is_scan, split_contrast, split_scan_name
from veriscale.stages.subjects import subject_of
from veriscale.workflows.degrading.measurement import MEASURED

_RESTORED = "restored"  # in the label `desc` of every result
_AFTER_AGENT = ("t1c", "t1ce")  # which BIDS calls T1w, with an entity `ce`


def scans_in(folder: Path) -> list[Path]:
    """All files in a folder or below it whose names are those of scans."""
    return [f for f in sorted(folder.rglob("*")) if is_scan(f) and f.is_file()]


def contrast_of(scan: Path) -> str:
    """A scan's contrast by its name, spelt like a modality: `T1C` of `sub-01_ce-gd_T1w.nii.gz`, `T1` of `ms07_T1`."""
    told = bids_name(scan)
    if told is None:
        return re.sub(f"{MEASURED}$", "", split_scan_name(scan)[0]).rpartition("_")[2]
    plain = told.suffix.removesuffix("w")
    return "T1C" if plain == "T1" and "ce" in told.entities else plain


def find_guide(folder: Path, scan: Path, modality: str, files: Sequence[Path] | None = None) -> Path | None:
    """The scan's guide of a modality in a folder or below it; None where there is none.

    That is, of a scan with a name of BIDS, one of the same `sub` and `ses` with the modality as its suffix, a last `w`
    left aside: T1 is T1w without an entity `ce`, T1C with one. Of another, one of the same subject (`subject_of`) whose
    name is that of the scan with the modality in the place of its contrast, as `ms07_T1` of `ms07_T2` and `ms07/T1` of
    `ms07/T2`; or, in a folder apart from the scan's, that of the scan itself. Upper and lower case are one, and what
    `degrade` adds to a name is left aside. One in the scan's own folder comes first. A restored scan of BIDS is none.

    Args:
        folder: where to look.
        scan: what is restored.
        modality: its name.
        files: `scans_in` of the folder, where it has been looked through.

    Raises:
        InputError: several fit.

    Source: ours, docs/methods.md#guides-in-use; BIDS 1.10, entities.
    """
    stem, extension = split_scan_name(scan)
    named = scan.with_name(f"{re.sub(f'{MEASURED}$', '', stem)}{extension}")
    given, told = scans_in(folder) if files is None else files, bids_name(named)
    if told is not None:
        found = [f for f in given if _fits(bids_name(f), told, modality) and not f.samefile(scan)]
    else:
        found = _alike(given, folder.absolute(), named.absolute(), modality, scan)
    beside = [f for f in found if f.parent.resolve() == scan.parent.resolve()]
    chosen = beside or found
    if len(chosen) > 1:
        raise InputError(f"{len(chosen)} files of the folder of the guide {modality} fit the scan; name the file.")
    return chosen[0] if chosen else None


def _fits(name: BidsName | None, scan: BidsName, modality: str) -> bool:
    if name is None or _RESTORED in name.entities.get("desc", ""):
        return False
    agent = modality.casefold() in _AFTER_AGENT
    suffix = "t1w" if agent else modality.casefold()
    same = all(name.entities.get(key) == scan.entities.get(key) for key in ("sub", "ses"))
    return same and ("ce" in name.entities) == agent and name.suffix.casefold() in (suffix, f"{suffix}w")


def _alike(files: Sequence[Path], folder: Path, scan: Path, modality: str, itself: Path) -> list[Path]:
    (begins, _), apart = split_contrast(scan), not scan.is_relative_to(folder)
    subject = _subject(scan, scan.parent if apart else folder)
    own = [f for f in files if _subject(f.absolute(), folder) == subject]
    for name in [f"{begins}_{modality}" if begins else modality, *([split_scan_name(scan)[0]] if apart else [])]:
        found = [f for f in own if split_scan_name(f)[0].casefold() == name.casefold() and not f.samefile(itself)]
        if found:
            return found
    return []


def _subject(file: Path, base: Path) -> str:
    return subject_of(split_scan_name(file)[0], file.parent, base)
