"""What the numbers of training pictures are: photographs as they stand, or scans by levels of their own."""

from collections.abc import Sequence

from veriscale.diffusion.card import MEAN, Card
from veriscale.errors import InputError
from veriscale.imaging.normalisation import PHOTOGRAPH
from veriscale.stages.data import PictureSet


def mean_of(pictures: PictureSet) -> float:
    """What the unconditional mode is centred on: the mean of all values of scans, and ½ of photographs.

    Source: ours, docs/methods.md#inheritance.
    """
    if pictures.stored:
        return MEAN
    total = sum(float(i.double().sum()) for i in pictures.images)
    return total / sum(i.numel() for i in pictures.images) / 255


def refuse_photographs_after_scans(
    parents: Sequence[Card], names: Sequence[str], training: Sequence[PictureSet]
) -> None:
    """Check that no stage goes from scans to photographs, whose levels a prior of scans has never seen.

    Args:
        parents: the cards of the priors whose weights it begins with.
        names: of the stages.
        training: their pictures.

    Raises:
        InputError: one does; names it.
    """
    before = next((f"its parent {p.name!r}" for p in parents if p.normalisation != PHOTOGRAPH), None)
    for name, pictures in zip(names, training, strict=True):
        if not pictures.stored:
            before = f"stage {name!r} before it"
        elif before:
            raise InputError(
                f"Stage {name!r} trains on photographs, and {before} is of scans, which know no levels of photographs; "
                "begin with photographs and go on with scans."
            )
