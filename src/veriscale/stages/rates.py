"""The words for what a stage trains, and the rate that each begins with."""

import re

WORDS = "all, decoder, norm+bias, lora:R with a whole number R of at least 1"
# Peaks of the schedule by optimiser and word, where a recipe gives none: starting points, docs/methods.md.
_RATES = {
    ("adam", "all"): 1e-3,
    ("adam", "decoder"): 1e-3,
    ("adam", "norm+bias"): 2e-3,
    ("adam", "lora"): 1e-2,
    ("muon", "all"): 1e-3,
    ("muon", "decoder"): 1e-3,
}


def is_known(trainable: str) -> bool:
    """Whether it is one of `WORDS`."""
    return re.fullmatch(r"all|decoder|norm\+bias|lora:[1-9][0-9]*", trainable) is not None


def rank_of(trainable: str) -> int | None:
    """R of lora:R; None of all others."""
    word, _, rank = trainable.partition(":")
    return int(rank) if word == "lora" else None


def takes(optimiser: str, trainable: str, network: str) -> bool:
    """Whether an optimiser can train it: Muon wants whole matrices of residual blocks."""
    if (optimiser, trainable) == ("muon", "decoder"):  # the ends of the other networks are no blocks
        return network == "denoiser"
    return (optimiser, trainable.partition(":")[0]) in _RATES


def default_rate(optimiser: str, trainable: str) -> float:
    """The peak of the schedule where a recipe gives none."""
    return _RATES[optimiser, trainable.partition(":")[0]]
