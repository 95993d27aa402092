"""The strings that name a score."""

import math
from dataclasses import dataclass

from veriscale.decimals import shortest
from veriscale.errors import InputError, closest

# Name to its keys with their values where they are not given; a smoothing of 0 is none.
SCORES: dict[str, dict[str, float]] = {
    "predictor": {"tau": 0.1, "context": 0.0, "smooth": 0.0},
    "variance": {"blur": 0.0, "smooth": 0.0},
    "perturbed": {"blur": 0.0, "smooth": 0.0},
    "gradient": {"std": 1.0, "smooth": 0.0},
    "files": {"smooth": 0.0},
}

LARGEST = 100.0  # pixels of a std, and more than any other setting


@dataclass(frozen=True)
class Score:
    """Where a score comes from, higher where a result is less trustworthy; made by `parse_score`.

    Attributes:
        name: "predictor" (the prior's own prediction of its error), "variance" (between draws, or between runs of a
            tool), "perturbed" (between runs on perturbed inputs), "gradient" (of the delivered picture) or "files"
            (maps the user brings).
        settings: `tau` of the predictor: the error it is asked about, and `context`: by how much of its mean over the
            picture every pixel's score is raised, since a picture that is hard elsewhere surprises more; `blur`: std
            of the Gaussian that each draw is filtered by before its variance is taken; `std` of the gradient's
            Gaussian derivative; `smooth`: std of the Gaussian that the map is filtered by in the end; all std in
            pixels.
    """

    name: str
    settings: dict[str, float]

    def __str__(self) -> str:
        keys = [f"{k}={shortest(v)}" for k, v in self.settings.items() if v != SCORES[self.name][k]]
        return f"{self.name}:{','.join(keys)}" if keys else self.name

    @property
    def smooth(self) -> float:
        """Std of the Gaussian that the map is filtered by."""
        return self.settings["smooth"]


def parse_score(text: str) -> Score:
    """`variance`, `variance:smooth=5`, `predictor:tau=0.1`, …

    Raises:
        InputError: unknown name or key, or a value that is no number of at least 0.
    """
    name, _, rest = text.strip().partition(":")
    if name not in SCORES:
        raise InputError(f"Unknown score {name!r}; {closest(name, SCORES)}.")
    settings = dict(SCORES[name])
    for word in filter(None, rest.split(",")):
        key, _, value = word.partition("=")
        if key not in settings:
            raise InputError(f"Score '{name}' has no key {key!r}; {closest(key, settings)}.")
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        least = "above 0" if (name, key) == ("gradient", "std") else "from 0"
        if not (0 <= number <= LARGEST) or (least == "above 0" and number == 0):
            raise InputError(
                f"Score '{name}': {key}={value or 'nothing'} is no number {least} to {LARGEST:g}, such as {key}=2."
            )
        settings[key] = number
    return Score(name, settings)


def check_score(score: Score, conditional: bool, samples: int, predictor: bool) -> None:
    """Raise `InputError`, before any work, where a prior's restoration cannot have a score."""
    if score.name == "perturbed":
        raise InputError("The score 'perturbed' is for `--command`, whose tool has no draws; choose variance.")
    if score.name == "predictor" and not predictor:
        raise InputError("The prior has no error predictor; choose `--score` variance, or train it with a [predictor].")
    if score.name == "predictor" and not conditional:
        raise InputError(
            "The score 'predictor' needs a measurement that the prior's encoder knows; choose `--score` variance."
        )
    if score.name == "variance" and samples < 2:
        raise InputError("The score 'variance' needs `--samples` of at least 2.")
