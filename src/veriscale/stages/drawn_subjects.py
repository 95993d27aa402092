"""A part of a set's subjects, for questions of how few suffice, and others that are held out."""

from collections.abc import Collection
from dataclasses import replace
from pathlib import PurePosixPath

from veriscale.errors import InputError
from veriscale.stages.batches import key
from veriscale.stages.data import PictureSet, facts_of
from veriscale.stages.patients import APART, check_no_copies, patients_of


def drawn(pictures: PictureSet, count: int | None, seed: int, where: str) -> PictureSet:
    """The pictures of `count` of a set's subjects, with the facts of the files that are theirs.

    Every subject has a place of its own in a seed's order, so that fewer are part of more. Groups take turns: ten of
    five groups are two of each. Among subjects of one group, whoever else is in the set decides nothing. Of photographs
    each is its own subject, and of no group.

    Args:
        pictures: of the whole set.
        count: at least 1; None: all.
        seed: of the recipe.
        where: the stage's key, named in the error.

    Raises:
        InputError: the set has fewer subjects, or two of them are one patient.

    Source: ours, docs/methods.md#training.
    """
    if count is None:
        return pictures
    _check_each_is_a_patient(pictures, where)
    known = set(pictures.subjects)
    if count > len(known):
        raise InputError(
            f"{where} is {count}, and the data {pictures.facts.pattern} hold {len(known)} subjects; ask for at most "
            f"{len(known)}, or leave it out to train on all."
        )
    return _of(pictures, _in_turn(pictures, seed, "subject")[:count])


def set_aside(
    pictures: PictureSet, count: int, wanted: int | None, seed: int, where: str
) -> tuple[PictureSet, PictureSet]:
    """The pictures of all but `count` subjects, and theirs, drawn as `drawn` does but in another order.

    Args:
        pictures: scans, each subject in files of its own.
        count: at least 1.
        wanted: how many of the others will be trained on; None: all.
        seed: of the recipe.
        where: the stage, named in errors.

    Raises:
        InputError: the set has too few subjects or is of photographs, two subjects are one patient, or a file holds
            one of them and another.
    """
    pattern = pictures.facts.pattern
    if pictures.stored:
        raise InputError(
            f"{where}.hold_out sets patients aside, and the data {pattern} are photographs; name held-out ones in "
            f"{where}.validation."
        )
    _check_each_is_a_patient(pictures, f"{where}.hold_out")
    known, beside = set(pictures.subjects), wanted or 1
    if count + beside > len(known):
        others = f"{where}.subjects {wanted}" if wanted else "some have to be left to train on"
        most = f"ask for at most {len(known)} in all" if wanted else f"hold out at most {len(known) - 1}"
        do = "add subjects" if len(known) < 2 else f"{most}, or add subjects"
        raise InputError(
            f"{where}.hold_out is {count} and {others}, and the data {pattern} hold {len(known)} "
            f"subject{'' if len(known) == 1 else 's'}; {do}."
        )
    aside = _in_turn(pictures, seed, "held out")[:count]
    rest, held = _of(pictures, known.difference(aside)), _of(pictures, aside)
    if both := rest.hashes.keys() & held.hashes.keys():
        raise InputError(
            f"{min(both)} holds several subjects, and {where}.hold_out sets whole files aside; write each subject to a "
            f"file of its own, or name {where}.validation."
        )
    return rest, held


def _check_each_is_a_patient(pictures: PictureSet, where: str) -> None:
    if several := [sorted(subjects) for subjects in patients_of([pictures]) if len(subjects) > 1]:
        one, other = min(several)[:2]
        raise InputError(
            f"Subjects {one!r} and {other!r} of {pictures.facts.pattern} are one patient, by the PatientID of both, "
            f"and {where} draws patients; {APART}."
        )
    check_no_copies(pictures, pictures.facts.pattern)


def _in_turn(pictures: PictureSet, seed: int, what: str) -> list[str]:
    """All subjects in a seed's order, by turns of their groups; what groups are called decides nothing."""
    order = sorted(set(pictures.subjects), key=lambda subject: (key(seed, what, subject), subject))
    turns: dict[str, int] = {}
    turn = {}
    for subject in order:
        group = pictures.groups.get(subject, "")
        turn[subject] = turns[group] = turns.get(group, 0) + 1
    return sorted(order, key=lambda subject: turn[subject])


def _of(pictures: PictureSet, subjects: Collection[str]) -> PictureSet:
    kept = pictures.at([k for k, subject in enumerate(pictures.subjects) if subject in subjects])
    cut = {v.rpartition("#")[0] for v in kept.volumes if v in kept.other_planes}  # of which no axial slice may be left
    names = {*kept.names, *kept.volumes, *cut}
    files = {f: own for f, own in pictures.hashes.items() if _is_of(f, names)}
    spacings = {v: s for v, s in pictures.spacings.items() if v in kept.volumes}
    facts = facts_of(pictures.facts.pattern, pictures.facts.licence, files, spacings.values(), bool(cut))
    return replace(kept, facts=facts, spacings=spacings, hashes=files)


def _is_of(file: str, names: set[str]) -> bool:
    """Whether a file is one of some pictures or volumes, holds one, or is of a series that is one."""
    return (
        file in names or PurePosixPath(file).parent.as_posix() in names or any(n.startswith(f"{file}#") for n in names)
    )
