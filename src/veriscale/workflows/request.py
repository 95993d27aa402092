"""What is asked of a restoration, before a picture is looked at."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from veriscale.diffusion.samplers import sampler
from veriscale.errors import InputError, closest
from veriscale.physics.measurement_noise import Noise
from veriscale.physics.operator import Operator
from veriscale.traversal.dial import PATH, PATHS, check_dials
from veriscale.trust.scores.score import Score

ANCHORS = ("mean", "fast", "paper")
POSTERIORS = ("conditional", "proximal", "dps", "covariance")


@dataclass(frozen=True)
class Request:
    """What is asked of a restoration; None leaves the choice to the plan.

    Attributes:
        scale: factor of bicubic downsampling, instead of an operator.
        operator: what made the measurement.
        noise: its noise: a model, its string, a standard deviation, or "auto".
        dial: positions in [0, 1].
        path: how positions between 0 and 1 are reached.
        samples: draws at dial 1 for mean and std.
        anchor: first stage, a name in `ANCHORS`.
        posterior: of the second stage, a name in `POSTERIORS`.
        preset: the authors' settings for a task, a name in `traversal.presets.PRESETS`.
        consistent: whether the anchor is moved until its residual is what the noise explains.
        sampler, steps: of the second stage.
        seed: of all noise.
        score: which score to compute, for masks.
        scored_dial: of which picture.
    """

    scale: int | None = None
    operator: Operator | None = None
    noise: str | float | Noise = 0.0
    dial: float | Sequence[float] = 0.0
    path: str = PATH
    samples: int = 0
    anchor: str | None = None
    posterior: str | None = None
    preset: str | None = None
    consistent: bool = False
    sampler: str | None = None
    steps: int | None = None
    seed: int = 0
    score: Score | None = None
    scored_dial: float = 0.0


def parse_dials(text: str) -> tuple[float, ...]:
    """`0.5` or `0,0.5,1`.

    Raises:
        InputError: not numbers in [0, 1].
    """
    if not re.fullmatch(r"[\d.eE+\-, ]+", text):
        raise InputError(f"Dial {text!r} is not a number in [0, 1], or several such as 0,0.5,1.")
    try:
        return check_dials([float(part) for part in text.split(",")])
    except ValueError as error:
        raise InputError(f"Dial {text!r} is not a number in [0, 1], or several such as 0,0.5,1.") from error


def check_values(request: Request) -> None:
    """Raise `InputError` for a name that is not known or a number out of range."""
    if request.path not in PATHS:
        raise InputError(f"Unknown path {request.path!r}; {closest(request.path, PATHS)}.")
    if request.sampler is not None:
        sampler(request.sampler)
    for name, given, known in (("anchor", request.anchor, ANCHORS), ("posterior", request.posterior, POSTERIORS)):
        if given is not None and given not in known:
            raise InputError(f"Unknown {name} {given!r}; {closest(given, known)}.")
    if (request.steps is not None and request.steps < 1) or request.samples < 0 or request.seed < 0:
        raise InputError(
            f"steps {request.steps}, samples {request.samples}, seed {request.seed}: steps must be at least 1, "
            "the others at least 0."
        )
    if request.samples == 1:
        raise InputError("samples is 1, and one draw has no spread; ask for at least 2, or for --dial 1.")
