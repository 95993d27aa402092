"""Anything that makes a picture with a score from a measurement: a prior, or somebody's tool."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
from msgspec import UNSET
from numpy.typing import NDArray

from veriscale.diffusion.prior import Prior
from veriscale.errors import InputError
from veriscale.imaging.photo import Photo
from veriscale.imaging.read import read_photo
from veriscale.imaging.rounding import as_stored
from veriscale.physics.downsample import Downsample
from veriscale.physics.operator import Operator
from veriscale.trust.facts import Facts, PriorFacts, ToolFacts
from veriscale.trust.perturbations import PERTURBATIONS
from veriscale.trust.scores.score import Score
from veriscale.workflows.binding import plan_facts
from veriscale.workflows.black_box import run_tool
from veriscale.workflows.command_template import CommandTemplate
from veriscale.workflows.plan import make_plan
from veriscale.workflows.request import Request
from veriscale.workflows.restoration import run_plan
from veriscale.workflows.scoring import own_map

Array = NDArray[np.float32]
Tell = Callable[[str, int, int], None]

TIMEOUT = 600.0  # seconds that a tool may take for one run


@dataclass(frozen=True, eq=False)
class Delivered:
    """A result as its 8-bit file holds it, (H, W, C), and its score, (H, W)."""

    picture: Array
    score: Array


class Restorer(Protocol):
    """Makes results that one certificate can be about."""

    @property
    def score(self) -> Score:
        """Where its results are less trustworthy."""

    @property
    def score_files(self) -> str | None:
        """Pattern of the user's own maps."""

    @property
    def timeout(self) -> float | None:
        """Seconds a run may take, where there is a limit."""

    def facts(self, y: Photo) -> Facts:
        """What the results depend on, for measurements like this one: binding."""

    def __call__(self, y: Photo, stem: str, tell: Tell) -> Delivered:
        """Restore a measurement; `stem` is its file's."""


def read_score(pattern: str, stem: str, shape: tuple[int, int]) -> Array:
    """The map a user brings for a picture, from a file of one channel, before its smoothing, (H, W).

    Args:
        pattern: a path with {stem} for the picture's name without its extension.
        stem: that name.
        shape: (H, W) of the result.

    Raises:
        InputError: there is no such file, or it does not fit or holds NaN.
    """
    path = Path(pattern.replace("{stem}", stem))
    if path.suffix == ".npy" and path.exists():  # with infinities, which no picture has
        try:
            values = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise InputError(f"Score file {path} holds no array of numbers ({error}).") from error
    else:
        values = read_photo(path).pixels[..., 0]
    return own_map(values, shape, f"Score file {path}")


def check_pattern(score: Score, pattern: str | None) -> None:
    """Raise `InputError` unless a pattern for score files is there exactly where the score wants one."""
    if (score.needs == "maps") != (pattern is not None):
        raise InputError("The score 'files' and --score-files go together: give both or neither.")
    if pattern is not None and "{stem}" not in pattern:
        raise InputError(f"--score-files {pattern} names one file for all; put {{stem}} where the picture's name goes.")


@dataclass(frozen=True, eq=False)
class PriorRestorer:
    """A prior with the settings of a request, which names one dial position and a score."""

    prior: Prior
    request: Request
    score: Score
    score_files: str | None = None
    timeout: float | None = None

    def facts(self, y: Photo) -> PriorFacts:
        """What the results depend on, for measurements like this one."""
        return plan_facts(self.prior, make_plan(y, self.prior, self._request()), self.score, self.request.scored_dial)

    def _request(self) -> Request:
        return self.request if self.score.needs == "maps" else replace(self.request, score=self.score)

    def __call__(self, y: Photo, stem: str, tell: Tell) -> Delivered:
        """Restore a measurement."""
        result = run_plan(y, self.prior, make_plan(y, self.prior, self._request()), progress=tell)
        picture = as_stored(result.images[self.request.scored_dial].pixels)
        if self.score_files is not None:
            return Delivered(picture, self.score.smoothed(read_score(self.score_files, stem, picture.shape[:2])))
        if result.score is None:
            raise ValueError("a plan with a score made none")
        return Delivered(picture, result.score)


@dataclass(frozen=True, eq=False)
class ToolRestorer:
    """Somebody's program, run on files.

    Attributes:
        template: its command line.
        operator: what made the measurements it is given: downsampling by an integer.
        noise: theirs.
        score: "variance" of `samples` runs, "perturbed", "gradient" or "files".
        samples: runs for a tool that does not give the same picture every time.
        timeout: seconds for one run.
        score_files: pattern of the user's own maps.
    """

    template: CommandTemplate
    operator: Operator
    noise: str
    score: Score
    samples: int = 0
    timeout: float = TIMEOUT
    score_files: str | None = None

    def __post_init__(self) -> None:
        if self.score.needs == "predictor":
            raise InputError(
                f"The score '{self.score.name}' is a prior's; with --command choose perturbed, variance, gradient or "
                "files."
            )
        if self.timeout <= 0:
            raise InputError(f"A time-out of {self.timeout:g} seconds lets no tool finish; give more than 0.")
        if self.score.needs == "draws" and self.samples < 2:
            raise InputError(f"The score '{self.score.name}' of a tool needs --samples of at least 2 runs.")

    @property
    def scale(self) -> int:
        """By which the tool enlarges."""
        if not isinstance(self.operator, Downsample) or self.operator.scale is None:
            raise InputError(f"A tool is for downsampling by an integer, and this is {self.operator}.")
        return self.operator.scale

    def facts(self, y: Photo) -> ToolFacts:
        """What the results depend on."""
        return ToolFacts(
            command=self.template.text,
            tool=self.template.tool_sha256,
            operator=str(self.operator),
            scale=self.scale,
            noise=self.noise,
            samples=self.samples if self.score.needs == "draws" else UNSET,
            perturbations=[p.name for p in PERTURBATIONS] if self.score.needs == "perturbed runs" else UNSET,
        )

    def __call__(self, y: Photo, stem: str, tell: Tell) -> Delivered:
        """Run the tool, as often as the score asks.

        Raises:
            ToolError: the tool failed on this picture.
        """
        run = partial(run_tool, self.template, scale=self.scale, timeout=self.timeout)
        # Profile and resolution stay out: a tool that heeds them would get other input here than in calibration.
        runs = self._runs(Photo(y.pixels, bit_depth=y.bit_depth), run, tell)
        picture = as_stored(runs[0])
        if self.score_files is not None:
            return Delivered(picture, self.score.smoothed(read_score(self.score_files, stem, picture.shape[:2])))
        return Delivered(picture, self.score.smoothed(self.score.of_pictures(picture, runs)))

    def _runs(self, y: Photo, run: Callable[[Photo], Photo], tell: Tell) -> Sequence[Array]:
        first = run(y).pixels
        if self.score.needs == "draws":
            others = []
            for k in range(1, self.samples):
                tell("tool", k, self.samples)
                others.append(run(y).pixels)
            if all(np.array_equal(first, x) for x in others):
                raise InputError(
                    f"The tool gave the same picture {self.samples} times, so that its runs have no variance; "
                    "choose --score gradient or perturbed."
                )
            return [first, *others]
        if self.score.needs == "perturbed runs":
            undone = [first]
            for k, perturbation in enumerate(PERTURBATIONS, start=1):
                tell("tool", k, len(PERTURBATIONS) + 1)
                other = run(y.with_pixels(perturbation.apply(y.pixels))).pixels
                undone.append(perturbation.undo(other, first, self.scale))
            return undone
        return [first]
