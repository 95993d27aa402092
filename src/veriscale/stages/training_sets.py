"""Whether the sets of a recipe can be used together: nobody held out is trained on, and patches fit into slices."""

from collections.abc import Sequence
from pathlib import PurePosixPath

from torch import Tensor

from veriscale.diffusion.card import KEPT_DIGITS, Card
from veriscale.errors import InputError
from veriscale.imaging.label_map import LEVELS, like_labels
from veriscale.stages.batches import REACH, too_small
from veriscale.stages.data import PictureSet
from veriscale.stages.fitting import CONTEXT
from veriscale.stages.patients import APART, APART_TOO, check_no_copies, patients_of
from veriscale.stages.recipe import DenoiserPhase, GuidesPhase, Phase, Recipe
from veriscale.stages.subjects import LIKE_GROUPS, NAMED_APART, perhaps_groups

FAR = 3.0
"""Spacings of one set that differ by more are said: a factor is then of other detail from scan to scan."""

BEYOND = 2.0
"""Spacings of a child's scans that lie by more than this factor outside of those of its ancestors' are said."""


def check_sets(
    recipe: Recipe, training: Sequence[PictureSet], validation: Sequence[PictureSet], parents: Sequence[Card] = ()
) -> None:
    """Check the sets of all stages before any work, those of one against those of all and of the parents' lines.

    Raises:
        InputError: as `check_no_copies`; a subject, a patient by the PatientID of DICOM series, or a file by its
            content, is in a stage's training set and in one's validation set, or a file in the latter that a parent or
            an ancestor of it was trained on; a stage is trained on photographs and held out are scans, or the other way
            round; or a picture, of the held-out ones too where they are evaluated on, is smaller than a patch, a
            photograph than a patch and what surrounds it.
    """
    for stage, seen, held_out in zip(recipe.stage, training, validation, strict=True):
        for pictures, key in ((seen, "data"), (held_out, "validation")):
            check_no_copies(pictures, f"stage.{stage.name}.{key}")
        for other, held in zip(recipe.stage, validation, strict=True):
            _check_apart(seen, held, f"stage.{stage.name}.data", f"stage.{other.name}.validation")
        for parent in parents:
            _check_unseen(parent, held_out, f"stage.{stage.name}.validation")
        if seen.stored != held_out.stored:
            kinds = ("photographs", "scans") if seen.stored else ("scans", "photographs")
            raise InputError(
                f"stage.{stage.name}.data are {kinds[0]} and stage.{stage.name}.validation {kinds[1]}; a prior is "
                f"measured on what it is trained for, so hold out {kinds[0]}."
            )
        for network, phase in stage.phases().items():
            margin = 0 if network == "encoder" else CONTEXT
            for pictures in (seen, held_out) if stage.evaluate else (seen,):
                around = 2 * (margin + REACH) if pictures.stored else 0
                sides = [_truth(phase, s) + around * s for s in recipe.task.scales]
                side = phase.patch if recipe.latent else max(sides)
                smallest = min(range(len(pictures.images)), key=lambda k: min(pictures.images[k].shape[-2:]))
                if min(pictures.images[smallest].shape[-2:]) < side:
                    raise too_small(pictures, smallest, side, f"{stage.name}.{network}")


def _truth(phase: Phase, scale: int) -> int:
    """The side of a patch in truth pixels."""
    return phase.patch if isinstance(phase, DenoiserPhase | GuidesPhase) else phase.patch * scale


def subject_remarks(recipe: Recipe, training: Sequence[PictureSet], validation: Sequence[PictureSet]) -> list[str]:
    """What each stage has: patients, groups, scans and slices; a line where a patient looks like a group of them.

    And one where scans look like maps of labels.
    """
    lines = []
    for stage, seen, held in zip(recipe.stage, training, validation, strict=True):
        if seen.stored:
            continue
        patients, apart = (_count(len(patients_of([each])), "patient") for each in (seen, held))
        groups = _count(len({seen.groups.get(subject, "") for subject in seen.subjects}), "group")
        scans = _count(len({volume.partition("#")[0] for volume in seen.volumes}), "scan")
        slices = _count(len(seen.images), "slice")
        lines.append(f"stage.{stage.name}: {patients} in {groups}, {scans}, {slices}; {apart} held out")
        places = [(s, PurePosixPath(v)) for pictures in (seen, held) for s, v in _volumes(pictures)]
        if doubtful := perhaps_groups(places):
            lines.append(
                f"stage.{stage.name}: {doubtful[0]!r} counts as one patient{_more(len(doubtful))}, and looks like "
                f"several: {LIKE_GROUPS}; {NAMED_APART}"
            )
        several = sorted({s for pictures in (seen, held) for s, own in pictures.patients.items() if len(own) > 1})
        if several:
            lines.append(
                f"stage.{stage.name}: {several[0]!r} counts as one patient{_more(len(several))}, and has series of "
                f"several PatientIDs; {APART_TOO}"
            )
        if plain := [name for pictures in (seen, held) for name in _like_labels(pictures)]:
            lines.append(
                f"stage.{stage.name}: {plain[0]} has no more than {LEVELS} levels{_more(len(plain))}, as maps of "
                "labels have and scans have not; if it is one, move it elsewhere"
            )
    return lines


def _like_labels(pictures: PictureSet) -> list[str]:
    """The volumes that look like maps of labels."""
    slices: dict[str, list[Tensor]] = {}
    for image, volume in zip(pictures.images, pictures.volumes, strict=True):
        slices.setdefault(volume, []).append(image)
    return [volume for volume, own in slices.items() if like_labels(each.cpu().numpy() for each in own)]


def _volumes(pictures: PictureSet) -> set[tuple[str, str]]:
    return set(zip(pictures.subjects, pictures.volumes, strict=True))


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _more(number: int) -> str:
    return "" if number == 1 else f", like {number - 1} more"


def spacing_remarks(sets: Sequence[PictureSet]) -> list[str]:
    """A line for each set of scans whose spacings in the plane differ by more than `FAR`."""
    return [
        f"{pattern}: spacings in the plane from {low:g} to {high:g} mm; one prior for both may suit neither"
        for pattern, low, high in _spacings(sets)
        if high > FAR * low
    ]


def distance_remarks(parent: Card, training: Sequence[PictureSet]) -> list[str]:
    """A line for each set of scans whose spacings in the plane lie beyond `BEYOND` of all that a parent's line saw."""
    known = [spacing for data in parent.seen for spacing in data.spacing]
    return [
        f"{pattern}: spacings in the plane from {low:g} to {high:g} mm, far from {min(known):g} to {max(known):g} mm "
        f"of the scans that the parent {parent.name!r} comes from; what it knows of detail may not suit them"
        for pattern, low, high in _spacings(training)
        if known and (low * BEYOND < min(known) or high > BEYOND * max(known))
    ]


def _spacings(sets: Sequence[PictureSet]) -> list[tuple[str, float, float]]:
    """Of each set of scans its pattern, which sets of one archive share, and its spacings, each pair once."""
    each = ((s.facts.pattern, s.facts.spacing) for s in sets if s.facts.spacing)
    return list(dict.fromkeys((pattern, low, high) for pattern, (low, high) in each))


def _one_patient(seen: PictureSet, held: PictureSet) -> tuple[str, str] | None:
    """The first subjects of both sets who are one patient."""
    patients = patients_of([seen, held])
    pairs = ((patient.intersection(seen.subjects), patient.intersection(held.subjects)) for patient in patients)
    return min(((min(one), min(other)) for one, other in pairs if one and other), default=None)


def _check_unseen(parent: Card, held: PictureSet, validation: str) -> None:
    known = {digits for data in parent.seen for digits in data.each}
    for name, own in held.hashes.items():
        if own[:KEPT_DIGITS] in known:
            raise InputError(
                f"{name} of {validation} is a file that the parent {parent.name!r} or an ancestor of it was trained "
                "on, and what is held out must not be trained on; leave it out."
            )


def _check_apart(seen: PictureSet, held: PictureSet, data: str, validation: str) -> None:
    # Photographs are no subjects but files, and files of two folders may share a name: their content tells.
    one = None if seen.stored or held.stored else _one_patient(seen, held)
    if one and one[0] == one[1]:
        raise InputError(
            f"Subject {one[0]!r} is in {data} and in {validation}, and who is held out must not be trained on; "
            "leave it out of one of them."
        )
    if one:
        raise InputError(
            f"Subject {one[0]!r} of {data} and {one[1]!r} of {validation} are one patient, by the PatientID of both, "
            f"and who is held out must not be trained on; leave out one of the two, or {APART}."
        )
    known = {own: name for name, own in seen.hashes.items()}
    for name, own in held.hashes.items():
        if own in known:
            raise InputError(
                f"{known[own]} of {data} is the same file as {name} of {validation}, and what is held out must not be "
                "trained on; leave it out of one of them."
            )
