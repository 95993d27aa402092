"""Every score by its name, and the strings that name one."""

import math

from veriscale.errors import InputError, closest
from veriscale.trust.scores.files import Files
from veriscale.trust.scores.gradient import Gradient
from veriscale.trust.scores.predictor import Predictor
from veriscale.trust.scores.score import Score
from veriscale.trust.scores.variance import Perturbed, Variance

SCORES: dict[str, type[Score]] = {score.name: score for score in (Predictor, Variance, Perturbed, Gradient, Files)}

LARGEST = 100.0  # pixels of a std, and more than any other setting


def parse_score(text: str) -> Score:
    """`variance`, `variance:smooth=5`, `predictor:tau=0.1`, …

    Raises:
        InputError: unknown name or key, or a value that is no number of at least 0.
    """
    name, _, rest = text.strip().partition(":")
    if name not in SCORES:
        raise InputError(f"Unknown score {name!r}; {closest(name, SCORES)}.")
    score = SCORES[name]
    settings: dict[str, float] = {}
    for word in filter(None, rest.split(",")):
        key, _, value = word.partition("=")
        if key not in score.settings():
            raise InputError(f"Score '{name}' has no key {key!r}; {closest(key, score.settings())}.")
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        least = "above 0" if key in score.above_zero else "from 0"
        if not (0 <= number <= LARGEST) or (least == "above 0" and number == 0):
            raise InputError(
                f"Score '{name}': {key}={value or 'nothing'} is no number {least} to {LARGEST:g}, such as {key}=2."
            )
        settings[key] = number
    return score(**settings)


def check_score(score: Score, conditional: bool, samples: int, predictor: bool) -> None:
    """Raise `InputError`, before any work, where a prior's restoration cannot have a score."""
    if score.needs == "perturbed runs":
        raise InputError(f"The score '{score.name}' is for `--command`, whose tool has no draws; choose variance.")
    if score.needs == "predictor" and not predictor:
        raise InputError("The prior has no error predictor; choose `--score` variance, or train it with a [predictor].")
    if score.needs == "predictor" and not conditional:
        raise InputError(
            f"The score '{score.name}' needs a measurement that the prior's encoder knows; choose `--score` variance."
        )
    if score.needs == "draws" and samples < 2:
        raise InputError(f"The score '{score.name}' needs `--samples` of at least 2.")
