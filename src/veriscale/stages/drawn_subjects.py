"""A part of a set's subjects, for questions of how few suffice."""

from dataclasses import replace
from pathlib import PurePosixPath

from veriscale.errors import InputError
from veriscale.stages.batches import key
from veriscale.stages.data import PictureSet, facts_of


def drawn(pictures: PictureSet, count: int | None, seed: int, where: str) -> PictureSet:
    """The pictures of `count` of a set's subjects, with the facts of the files that are theirs.

    Every subject has a place of its own in a seed's order, so that fewer are part of more and whoever else is in the
    set decides nothing. Of photographs each is its own subject.

    Args:
        pictures: of the whole set.
        count: at least 1; None: all.
        seed: of the recipe.
        where: the stage's key, named in the error.

    Raises:
        InputError: the set has fewer subjects.

    Source: ours, docs/methods.md#training.
    """
    if count is None:
        return pictures
    known = set(pictures.subjects)
    if count > len(known):
        raise InputError(
            f"{where} is {count}, and the data {pictures.facts.pattern} hold {len(known)} subjects; ask for at most "
            f"{len(known)}, or leave it out to train on all."
        )
    chosen = sorted(known, key=lambda subject: (key(seed, "subject", subject), subject))[:count]
    kept = [k for k, subject in enumerate(pictures.subjects) if subject in chosen]
    names = [pictures.names[k] for k in kept]
    volumes = [pictures.volumes[k] for k in kept] if pictures.volumes else []
    files = {f: own for f, own in pictures.hashes.items() if _is_of(f, {*names, *volumes})}
    spacings = {v: s for v, s in pictures.spacings.items() if v in volumes}
    facts = facts_of(pictures.facts.pattern, pictures.facts.licence, files, spacings.values())
    return replace(
        pictures,
        images=[pictures.images[k] for k in kept],
        names=names,
        facts=facts,
        subjects=[pictures.subjects[k] for k in kept],
        volumes=volumes,
        spacings=spacings,
        hashes=files,
    )


def _is_of(file: str, names: set[str]) -> bool:
    """Whether a file is one of some pictures or volumes, holds one, or is of a series that is one."""
    return (
        file in names or PurePosixPath(file).parent.as_posix() in names or any(n.startswith(f"{file}#") for n in names)
    )
