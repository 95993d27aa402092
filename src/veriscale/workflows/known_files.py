"""Which files a prior knows: what it learned from or was measured on certifies nothing, and flatters its scores."""

from collections.abc import Mapping, Sequence

from veriscale.diffusion.card import KEPT_DIGITS
from veriscale.diffusion.prior import Prior


def known_to(prior: Prior | None, hashes: Mapping[str, Sequence[str]]) -> list[str]:
    """What a prior, an ancestor or its guides were trained on; or measured on, which may have chosen the weights.

    Args:
        prior: None of a tool, of which nobody knows.
        hashes: of each picture or scan, by its name, the sha256 of its file, or of every file of a series.
    """
    known = {digits for d in (*prior.seen, *prior.card.validation) for digits in d.each} if prior is not None else set()
    return [name for name, each in hashes.items() if any(sha256[:KEPT_DIGITS] in known for sha256 in each)]


def known_warning(prior: Prior, hashes: Mapping[str, Sequence[str]], kind: str) -> list[str]:
    """A line where scores are of what the prior knows.

    Args:
        prior: that is scored.
        hashes: as of `known_to`.
        kind: what a sentence calls several: pictures or scans.
    """
    if not (known := known_to(prior, hashes)):
        return []
    return [
        f"{len(known)} of the {len(hashes)} {kind} trained the prior or chose its weights, such as {known[0]}: of "
        "others it is not as good as these scores say."
    ]
