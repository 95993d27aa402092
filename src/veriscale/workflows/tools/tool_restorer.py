"""Restoring pictures with somebody's tool, as it was calibrated."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from msgspec import UNSET
from numpy.typing import NDArray

from veriscale.errors import InputError
from veriscale.imaging.photo import Photo
from veriscale.imaging.rounding import as_stored
from veriscale.physics.data_term import DataTerm
from veriscale.physics.downsample import Downsample
from veriscale.physics.measurement_noise import parse_noise
from veriscale.physics.operator import Operator
from veriscale.physics.registry import parse_operator
from veriscale.settings import Settings, settled
from veriscale.traversal.consistency import Verdict
from veriscale.traversal.method import Tell
from veriscale.trust.certificate import Certificate
from veriscale.trust.facts import ToolFacts
from veriscale.trust.perturbations import PERTURBATIONS
from veriscale.trust.scores.registry import parse_score
from veriscale.trust.scores.score import Score
from veriscale.workflows.certifying.mask import mask_lines
from veriscale.workflows.certifying.scoring import check_pattern, read_score
from veriscale.workflows.degrading.measurement import read_sidecar
from veriscale.workflows.restoring.restoration import Restoration, named_from
from veriscale.workflows.tools.black_box import run_tool
from veriscale.workflows.tools.command_template import CommandTemplate, parse_command

Array = NDArray[np.float32]

TIMEOUT = 600.0  # seconds that a tool may take for one run
_WITH_TOOLS = ("scale", "command", "certificate", "alpha", "score_files", "timeout", "crop")


@dataclass(frozen=True, eq=False)
class ToolRestorer:
    """Somebody's program, run on files: a `Restorer`.

    Attributes:
        template: its command line.
        operator: what made the measurements it is given: downsampling by an integer.
        noise: theirs.
        score: "variance" of `samples` runs, "perturbed", "gradient" or "files".
        samples: runs for a tool that does not give the same picture every time.
        timeout: seconds for one run.
        score_files: pattern of the user's own maps.
        certificate: for the masks of its results.
        settings: what else was asked of them.
    """

    template: CommandTemplate
    operator: Operator
    noise: str
    score: Score
    samples: int = 0
    timeout: float = TIMEOUT
    score_files: str | None = None
    certificate: Certificate | None = None
    settings: Settings = field(default_factory=Settings)

    def __post_init__(self) -> None:
        if self.score.needs == "predictor":
            raise InputError(
                f"The score '{self.score.name}' is a prior's; with `--command` choose perturbed, variance, gradient or "
                "files."
            )
        if self.timeout <= 0:
            raise InputError(f"A time-out of {self.timeout:g} seconds lets no tool finish; give more than 0.")
        if self.score.needs == "draws" and self.samples < 2:
            raise InputError(f"The score '{self.score.name}' of a tool needs `--samples` of at least 2 runs.")

    @property
    def remarks(self) -> Sequence[str]:
        """What is to be said of its command."""
        return self.template.remarks

    @property
    def scale(self) -> int:
        """By which the tool enlarges."""
        if not isinstance(self.operator, Downsample) or self.operator.scale is None:
            raise InputError(f"A tool is for downsampling by an integer, and this is {self.operator}.")
        return self.operator.scale

    @property
    def facts(self) -> ToolFacts:
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

    def prepare(self, photo: Photo, path: Path | None = None, stem: str | None = None) -> "PreparedByTool":
        """Check a picture; arguments and errors as `Restorer.prepare`."""
        if self.settings.crop is not None:
            photo = photo.cut(self.settings.crop, "the picture" if path is None else path.name)
        if self.certificate is not None:
            sidecar = None if path is None else read_sidecar(path)
            if sidecar is not None:
                made = self.certificate.binding.restoration.measured_by(sidecar.operator, sidecar.noise)
                self.certificate.check(made)
            self.certificate.check(self.facts)
            if photo.alpha is not None:
                raise InputError("A certificate is for pictures without transparency; flatten this one first.")
            scale = self.scale
            self.certificate.check_unit(scale * photo.width, scale * photo.height, photo.channels, photo.bit_depth)
        return PreparedByTool(self, photo, path, stem or (None if path is None else path.stem))


@dataclass(frozen=True, eq=False)
class PreparedByTool:
    """One picture for a tool: a `Prepared`."""

    restorer: ToolRestorer
    photo: Photo
    path: Path | None
    stem: str | None

    dials: Sequence[float] = (0.0,)
    samples: int = 0

    @property
    def suffix(self) -> str:
        """What its results' names end in."""
        return f"x{self.restorer.scale}"

    @property
    def facts(self) -> ToolFacts:
        """What the result and its score depend on."""
        return self.restorer.facts

    @property
    def made_of(self) -> dict[str, Any]:
        """What of its run.json is known before the work, but for the arguments."""
        held = self.restorer.certificate
        return {**self.facts.given(), **({} if held is None else {"certificate": {"sha256": held.sha256}})}

    def lines(self) -> list[str]:
        """What will be done, in words."""
        scale, photo = self.restorer.scale, self.photo
        name = "The picture" if self.path is None else self.path.name
        to = f"{scale * photo.width}×{scale * photo.height}"
        return [f"{name}: {photo.width}×{photo.height} to {to} by {self.restorer.template.text}."]

    def costs(self) -> list[str]:
        """Nobody knows."""
        return []

    def arguments(self, results: Path) -> dict[str, Any]:
        """The settings; nothing was found out beyond them."""
        v = self.restorer.settings
        return {**asdict(v), "certificate": None if v.certificate is None else named_from(v.certificate, results)}

    def verdicts(self, result: Restoration) -> list[str]:
        """What is to be said of the result."""
        return [] if result.mask is None else mask_lines(result.mask)

    def restore(self, tell: Tell = lambda phase, done, of: None) -> Restoration:
        """Run the tool, as often as the score asks, and mask its result.

        Raises:
            ToolError: the tool failed on this picture.
        """
        tool, photo = self.restorer, self.photo
        begun = perf_counter()
        picture, score = self._run(tell)
        x, y = (torch.from_numpy(p.transpose(2, 0, 1).copy())[None] for p in (picture, photo.pixels))
        value = float(DataTerm(tool.operator, y, parse_noise(tool.noise)).consistency(x, stored=True)[0])
        facts: dict[str, Any] = {
            "versions": {"veriscale": version("veriscale"), "numpy": np.__version__},
            "mode": "tool",
            "arguments": self.arguments(Path()),
            **self.made_of,
            "score": str(tool.score),
            "dial": [],
            "consistency": {"value": value, "low": None, "high": None},
            "seconds": {"tool": round(perf_counter() - begun, 3)},
        }
        result = Restoration(
            images={0.0: photo.with_pixels(picture)},
            measurement=photo,
            samples=[],
            mean=None,
            std=None,
            operator=tool.operator,
            verdict=Verdict(value),
            run=facts,
            score=score,
        )
        return result if tool.certificate is None else result.masked(tool.certificate, tool.settings.alpha)

    def _run(self, tell: Tell) -> tuple[Array, Array]:
        """The picture as delivered and its score."""
        tool, y = self.restorer, self.photo
        if tool.score_files is not None and self.stem is None:
            raise InputError("`--score-files` names a map after the picture's file, and this one has none; give it.")
        run = partial(run_tool, tool.template, scale=tool.scale, timeout=tool.timeout)
        # Profile and resolution stay out: a tool that heeds them would get other input here than in calibration.
        runs = self._runs(Photo(y.pixels, bit_depth=y.bit_depth), run, tell)
        picture = as_stored(runs[0])
        if tool.score_files is not None and self.stem is not None:
            return picture, tool.score.smoothed(read_score(tool.score_files, self.stem, picture.shape[:2]))
        return picture, tool.score.smoothed(tool.score.of_pictures(picture, runs))

    def _runs(self, y: Photo, run: Callable[[Photo], Photo], tell: Tell) -> Sequence[Array]:
        tool = self.restorer
        first = run(y).pixels
        if tool.score.needs == "draws":
            others = []
            for k in range(1, tool.samples):
                tell("tool", k, tool.samples)
                others.append(run(y).pixels)
            return [first, *others]
        if tool.score.needs == "perturbed runs":
            undone = [first]
            for k, perturbation in enumerate(PERTURBATIONS, start=1):
                tell("tool", k, len(PERTURBATIONS) + 1)
                other = run(y.with_pixels(perturbation.apply(y.pixels))).pixels
                undone.append(perturbation.undo(other, first, tool.scale))
            return undone
        return [first]


def certified_tool(settings: Settings, certificate: Certificate) -> ToolRestorer:
    """The tool of the settings' command as a certificate says.

    The command is always the user's own: a certificate from somebody else could name any program.

    Raises:
        InputError: the certificate is for a prior, or for another command, tool or scale, or a setting is not a tool's.
    """
    v, facts = settings, certificate.binding.restoration
    template = parse_command(v.command or "")
    if not isinstance(facts, ToolFacts):
        raise InputError("The certificate is for a prior and not for a tool; leave out `--command`.")
    score = parse_score(certificate.binding.score)
    check_pattern(score, v.score_files)
    operator, runs = parse_operator(facts.operator), 0 if facts.samples is UNSET else facts.samples
    timeout = (certificate.information["timeout"] or TIMEOUT) if v.timeout is None else v.timeout
    tool = ToolRestorer(template, operator, facts.noise, score, runs, timeout, v.score_files, certificate, v)
    if v.scale not in (None, tool.scale):
        raise InputError(f"The certificate is for scale {tool.scale}, and this is {v.scale}: leave it out.")
    usual = settled(Settings())
    if given := [k for k in vars(v) if k not in _WITH_TOOLS and getattr(v, k) != getattr(usual, k)]:
        raise InputError(f"`--{given[0]}` does not go with `--command`, which runs as it was calibrated; leave it out.")
    return tool
