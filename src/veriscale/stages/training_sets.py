"""Whether the sets of a recipe can be used together: nobody held out is trained on, and patches fit into slices."""

from collections.abc import Sequence

from veriscale.errors import InputError
from veriscale.stages.batches import small_slice
from veriscale.stages.data import PictureSet
from veriscale.stages.recipe import DenoiserPhase, Recipe

FAR = 3.0
"""Spacings of one set that differ by more are said: a factor is then of other detail from scan to scan."""


def check_sets(recipe: Recipe, training: Sequence[PictureSet], validation: Sequence[PictureSet]) -> None:
    """Check the sets of all stages before any work, those of one against those of all.

    Raises:
        InputError: a subject, or a file by its content, is in a stage's training set and in one's validation set; or a
            slice is smaller than a patch.
    """
    for stage, seen in zip(recipe.stage, training, strict=True):
        for other, held in zip(recipe.stage, validation, strict=True):
            _check_apart(seen, held, f"stage.{stage.name}.data", f"stage.{other.name}.validation")
        if seen.stored:
            continue
        smallest = min(range(len(seen.images)), key=lambda k: min(seen.images[k].shape[-2:]))
        for network, phase in stage.phases().items():
            side = phase.patch * (1 if isinstance(phase, DenoiserPhase) else max(recipe.task.scales))
            if min(seen.images[smallest].shape[-2:]) < side:
                raise small_slice(seen, smallest, side, f"{stage.name}.{network}")


def spacing_remarks(sets: Sequence[PictureSet]) -> list[str]:
    """A line for each set of scans whose spacings in the plane differ by more than `FAR`."""
    spacings = {s.facts.pattern: s.facts.spacing for s in sets if s.facts.spacing}
    return [
        f"{pattern}: spacings in the plane from {low:g} to {high:g} mm; one prior for both may suit neither"
        for pattern, (low, high) in spacings.items()
        if high > FAR * low
    ]


def _check_apart(seen: PictureSet, held: PictureSet, data: str, validation: str) -> None:
    # Photographs are no subjects but files, and files of two folders may share a name: their content tells.
    both = set() if seen.stored or held.stored else set(seen.subjects) & set(held.subjects)
    if both:
        raise InputError(
            f"Subject {min(both)!r} is in {data} and in {validation}, and who is held out must not be trained on; "
            "leave it out of one of them."
        )
    known = {own: name for name, own in seen.hashes.items()}
    for name, own in held.hashes.items():
        if own in known:
            raise InputError(
                f"{known[own]} of {data} is the same file as {name} of {validation}, and what is held out must not be "
                "trained on; leave it out of one of them."
            )
