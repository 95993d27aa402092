"""Which subjects are one patient: by the PatientID of their DICOM series, or since they have a file in common."""

from collections.abc import Iterable
from pathlib import PurePosixPath

from veriscale.errors import InputError
from veriscale.stages.data import PictureSet

APART = "put all series of a patient into one folder; if they are two patients, give each a PatientID of their own"
"""What would do where two subjects are one patient."""

APART_TOO = "if they are of several people, give each a folder of its own, called sub-01, sub-02 and so on"
"""What would do where one subject is two patients."""


def patients_of(sets: Iterable[PictureSet]) -> list[set[str]]:
    """The subjects of each patient in some sets of scans; of photographs, which are nobody's, each by itself.

    A subject of several series with several PatientIDs ties those who have one of them together.

    Source: ours, docs/methods.md#training.
    """
    known: dict[str, set[str]] = {}
    for pictures in sets:
        for subject in pictures.subjects:
            known.setdefault(subject, set()).update(pictures.patients.get(subject, ()))
    alone = [{subject} for subject, own in known.items() if not own]
    told: list[tuple[set[str], set[str]]] = []  # subjects, and all PatientIDs of theirs
    for subject, own in known.items():
        if own:
            same = [patient for patient in told if patient[1] & own]
            told = [patient for patient in told if patient not in same]
            told.append(({subject}.union(*(s for s, _ in same)), own.union(*(p for _, p in same))))
    return alone + [subjects for subjects, _ in told]


def check_no_copies(pictures: PictureSet, where: str) -> None:
    """Check that no file of a subject is another subject's too.

    Args:
        pictures: of photographs nothing is checked.
        where: the stage's key, named in the error.

    Raises:
        InputError: two subjects have the same file.
    """
    if pictures.stored:
        return
    owners = {volume.partition("#")[0]: s for volume, s in zip(pictures.volumes, pictures.subjects, strict=True)}
    first: dict[str, tuple[str, str]] = {}
    for name, own in pictures.hashes.items():
        owner = owners.get(name) or owners.get(PurePosixPath(name).parent.as_posix())
        if owner is None:  # nothing of it is in the set
            continue
        before, other = first.setdefault(own, (name, owner))
        if other != owner:
            raise InputError(
                f"{before} and {name} of {where} are the same file, and would count as two patients; take one away."
            )
