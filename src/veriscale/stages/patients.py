"""Which subjects are one patient: those whose DICOM series have a PatientID in common."""

from collections.abc import Iterable

from veriscale.stages.data import PictureSet

APART = "put all series of a patient into one folder; if they are two patients, give each a PatientID of their own"
"""What would do where two subjects are one patient."""


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
