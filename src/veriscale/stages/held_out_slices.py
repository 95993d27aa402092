"""Which slices of held-out scans stand for all of them, so that measuring a card takes as long as of photographs."""

from collections.abc import Sequence
from dataclasses import replace

from veriscale.errors import InputError
from veriscale.metrics.perception import SMALLEST
from veriscale.stages.data import PictureSet
from veriscale.stages.held_out import CROP

MOST = 24


def held_out_slices(validation: PictureSet, multiple: int) -> PictureSet:
    """At most `MOST` slices, spread evenly over subjects, a subject's volumes and a volume's depth.

    Slices on which nothing could be measured are left out: crops are squares of a multiple of `multiple` pixels a side,
    at least 32 for what the eye sees. The largest that all of them hold, at most 160, is `largest`.

    Args:
        validation: photographs stay as they are.
        multiple: of all factors and of the denoiser's stride.

    Raises:
        InputError: no slice is large enough.
    """
    if validation.stored:
        return validation
    least = -(-SMALLEST // multiple) * multiple
    places: dict[str, dict[str, list[int]]] = {}
    for k, image in enumerate(validation.images):
        if min(image.shape[-2:]) >= least:
            places.setdefault(validation.subjects[k], {}).setdefault(validation.volumes[k], []).append(k)
    if not places:
        height, width = validation.images[0].shape[-2:]
        raise InputError(
            f"Validation slices of {validation.facts.pattern} are too small to measure a prior on, such as "
            f"{validation.names[0]} of {width}×{height}; at least {least} pixels a side would do."
        )
    chosen: list[int] = []
    subjects = list(places.values())
    for volumes, count in zip(subjects, _shares(MOST, [sum(map(len, v.values())) for v in subjects]), strict=True):
        for depth, n in zip(volumes.values(), _shares(count, list(map(len, volumes.values()))), strict=True):
            chosen += [depth[(2 * i + 1) * len(depth) // (2 * n)] for i in range(n)]
    few = validation.at(chosen)
    return replace(few, largest=min(CROP, *(n for i in few.images for n in i.shape[-2:])) // multiple * multiple)


def _shares(count: int, sizes: Sequence[int]) -> list[int]:
    """`count` over groups, as even as their sizes let; what cannot be shared evenly goes to the first of them."""
    shares = [0] * len(sizes)
    for _ in range(min(count, sum(sizes))):
        open_ = (k for k, size in enumerate(sizes) if shares[k] < size)
        shares[min(open_, key=lambda k: shares[k])] += 1
    return shares
