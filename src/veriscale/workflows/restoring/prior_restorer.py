"""Restoring pictures with a prior."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from veriscale.diffusion.card import non_commercial
from veriscale.diffusion.noise_field import NoiseField
from veriscale.diffusion.prior import Prior
from veriscale.errors import InputError
from veriscale.imaging.moments import moments
from veriscale.imaging.normalisation import SCAN
from veriscale.imaging.photo import Photo
from veriscale.physics.data_term import DataTerm
from veriscale.physics.measurement_noise import ROUNDING, Noise, parse_noise
from veriscale.physics.operator import Operator
from veriscale.runtime.networks import TILE
from veriscale.settings import Settings, positions
from veriscale.traversal.consistency import Verdict, consistent, verdict
from veriscale.traversal.method import Problem, Tell
from veriscale.traversal.walk import Walk, walk
from veriscale.trust.certificate import Certificate
from veriscale.trust.facts import PriorFacts
from veriscale.trust.scores.predictor import Predictor
from veriscale.trust.scores.registry import parse_score
from veriscale.trust.scores.score import Score
from veriscale.workflows.certifying.binding import plan_facts
from veriscale.workflows.certifying.certified_settings import certified_dial, check_certified, check_kind
from veriscale.workflows.certifying.mask import mask_lines
from veriscale.workflows.certifying.scoring import check_pattern, own_map, read_score
from veriscale.workflows.degrading.measurement import contradiction, find_measurement, read_sidecar
from veriscale.workflows.restoring.chain import Chain, make_chain
from veriscale.workflows.restoring.measured_picture import as_tensor
from veriscale.workflows.restoring.plan import NOISELESS, Plan, make_plan
from veriscale.workflows.restoring.restoration import Restoration, named_from
from veriscale.workflows.restoring.room import check_room, enough_memory

Array = NDArray[np.float32]

VERSIONS = {"veriscale": version("veriscale"), "torch": torch.__version__, "numpy": np.__version__}


@dataclass(frozen=True, eq=False)
class PriorRestorer:
    """A prior with settings: a `Restorer`.

    Attributes:
        prior: on its device.
        settings: settled.
        certificate: for the mask of its results.
        score: which score to compute; that of the certificate by default.
        operator, noise: of all measurements, in the place of the settings' strings.
        folder: from which the operator's files are named.
        own_score: a map (H, W) of the user's own, where the score is "files".
        tile: side of a network's tile in output pixels.
        batch: draws sampled together; by memory by default.
        rounding: standard deviation of its measurements' rounding.
        slices: whether its pictures are slices of a scan.
    """

    prior: Prior
    settings: Settings
    certificate: Certificate | None = None
    score: Score | None = None
    operator: Operator | None = None
    noise: Noise | None = None
    folder: Path = Path()
    own_score: Array | None = None
    tile: int = TILE
    batch: int | None = None
    rounding: float = ROUNDING
    slices: bool = False

    timeout = None

    @property
    def remarks(self) -> Sequence[str]:
        """What its licences forbid."""
        forbidding = "; ".join(non_commercial(self.prior.seen))
        line = f"prior {self.prior.named} is for non-commercial use alone: it comes from data under {forbidding}."
        return [line] if forbidding else []

    @property
    def score_files(self) -> str | None:
        """Pattern of the user's own maps."""
        return self.settings.score_files

    @property
    def told(self) -> dict[str, Any]:
        """The settings with the prior's name, for a run.json."""
        return {**asdict(self.settings), "prior": self.settings.prior or self.prior.named}

    def prepare(self, photo: Photo, path: Path | None = None, stem: str | None = None) -> "PreparedByPrior | Chain":
        """Check a picture; arguments and errors as `Restorer.prepare`."""
        v, held = self.settings, self.certificate
        self.prior.check_unchanged()
        if held is not None:
            check_kind(held, self.slices)
        for name in ("spacing", "thickness"):
            if getattr(v, name) is not None:
                raise InputError(f"`--{name}` is of scans, and this is a photograph; leave it out.")
        if v.crop is not None:
            photo = photo.cut(v.crop, "the picture" if path is None else path.name)
        operator, noise = self._measurement(path)
        known = self.prior.card.network.scales
        if operator is None and v.scale is not None and known and v.scale not in known:
            return make_chain(photo, path, v, held, known, partial(self._step, noise))
        if v.crop is not None and operator is not None and not operator.divisible:
            raise InputError(
                f"`--crop` does not go with {operator}, whose holes or coefficients are those of the whole picture; "
                "crop the result instead."
            )
        score = self.score
        if held is not None:
            score = parse_score(held.binding.score)
        dial = certified_dial(held, v) if held is not None else float(v.dial or 0) if score is not None else 0.0
        computed = None if score is not None and score.needs == "maps" else score
        plan = make_plan(photo, self.prior, v, operator, noise, computed, dial, self.rounding)
        check_room(plan, self.prior.card.network)
        brought = self.own_score
        if held is not None and score is not None:
            check_certified(photo, self.prior, plan, held)
            if brought is None:
                check_pattern(score, v.score_files)
        stem = stem or (path.stem if path is not None else None)
        if brought is not None:
            brought = own_map(brought, plan.shape, "The score")
        elif v.score_files is not None and stem is not None:
            brought = read_score(v.score_files, stem, plan.shape)
        suffix = f"x{plan.scale}" if plan.scale else "restored"
        return PreparedByPrior(self, photo, plan, path, score, brought, suffix, plan.dials, plan.samples)

    def _step(self, noise: Noise | None, photo: Photo, scale: int, measured: bool) -> "PreparedByPrior | Chain":
        """Prepare a picture at a known scale: the measurement with its noise, or what an earlier step made of it."""
        v = replace(self.settings, scale=scale, crop=None)
        return replace(self, settings=v, noise=noise if measured else NOISELESS).prepare(photo)

    def _measurement(self, path: Path | None) -> tuple[Operator | None, Noise | None]:
        """What made a file, by everything that may know: given objects, the settings, a sidecar, the certificate."""
        v, held = self.settings, self.certificate
        stated: str | Operator | None = self.operator or v.operator
        noise: str | Noise | None = self.noise or v.noise
        usual = "0"
        if held is not None and (path is None or read_sidecar(path) is None):
            facts = held.binding.restoration
            stated, usual = stated or (facts.operator if v.scale is None else None), facts.noise
        operator, found = find_measurement(path, stated, v.scale, noise, self.folder, usual)
        if isinstance(found, Noise):
            return operator, found
        return operator, None if found == "auto" else parse_noise(str(found))


@dataclass(frozen=True, eq=False)
class PreparedByPrior:
    """One picture with its plan: a `Prepared`."""

    restorer: PriorRestorer
    photo: Photo
    plan: Plan
    path: Path | None
    score: Score | None
    own_score: Array | None
    suffix: str
    dials: Sequence[float]
    samples: int

    def by(self, prior: Prior) -> "PreparedByPrior":
        """The same by its prior as that is for another picture of this size, whose guides are others."""
        if prior is self.restorer.prior:
            return self
        plan = replace(self.plan, method=replace(self.plan.method, prior=prior))
        return replace(self, restorer=replace(self.restorer, prior=prior), plan=plan)

    @property
    def facts(self) -> PriorFacts:
        """What the result and its score depend on."""
        if self.score is None:
            raise ValueError("a restoration without a score has no binding facts")
        return plan_facts(self.restorer.prior, self.plan, self.score, self.plan.scored_dial)

    @property
    def made_of(self) -> dict[str, Any]:
        """What of its run.json is known before the work, but for the arguments."""
        plan, held, card = self.plan, self.restorer.certificate, self.restorer.prior.card
        decides = card.deciding_sha256(plan.method.scale or 0)
        return {
            "prior": {**self.restorer.prior.facts, "card": decides},
            **plan.facts(),
            **self.tempered,
            **({} if held is None else {"certificate": {"sha256": held.sha256}}),
        }

    @property
    def tempered(self) -> dict[str, float]:
        """By what the std of draws is multiplied, where it is: the card's temperature is of conditional draws."""
        temperature = self.restorer.prior.card.temperature
        scaled = self.plan.method.scale and self.samples and temperature != 1
        return {"temperature": temperature} if scaled else {}

    def lines(self) -> list[str]:
        """What will be done, in words."""
        plan, v, card = self.plan, self.restorer.settings, self.restorer.prior.card
        known = ", ".join(f"×{s}" for s in sorted(card.network.scales))
        asked = v.scale or v.operator or plan.scale is None or v.certificate
        chosen = "" if asked or not known else f" (the prior knows {known})"
        name = "The picture" if self.path is None else self.path.name
        height, width, _ = self.photo.pixels.shape
        line = (
            f"{name}: {width}×{height} to {plan.shape[1]}×{plan.shape[0]}, {plan.operator_string}, "
            f"prior {card.name} used {plan.method.how}, {plan.why}{chosen}, noise {plan.noise_string}, "
            f"{_far(plan)}."
        )
        notes = [*self.restorer.prior.notes, *plan.operator.notes]
        if card.normalisation == SCAN:
            notes.append(f"{card.name} was trained on scans, and this is a photograph")
        if other := contradiction(self.path, plan.operator):
            notes.append(other)
        # Of a certified picture the mask's warning says it.
        if self.photo.lossy and self.restorer.certificate is None and "jpeg" not in plan.operator_string:
            notes.append(f"it is {self.photo.lossy}, and what the compression left is taken for content")
        return [line, *(f"  {note}." for note in notes)]

    def costs(self) -> list[str]:
        """What it takes, in words."""
        plan = self.plan
        first, whole = plan.method.costs()
        memory = plan.memory(self.restorer.prior.card.network.channels)
        return [
            f"  {plan.work.evaluations - plan.method.first_evaluations} evaluations of the denoiser after {first}; "
            f"about {memory / 1e6:.0f} MB of pictures beside {plan.tile_memory / 1e9:.1f} GB at most for the networks "
            f"and a tile.{whole}"
        ]

    def arguments(self, results: Path) -> dict[str, Any]:
        """The settings with what was found out beyond them."""
        plan, v = self.plan, self.restorer.settings
        return {
            **self.restorer.told,
            "noise": plan.noise_string,
            "scale": plan.scale,
            "operator": None if plan.method.scale else str(plan.operator.beside(results)),
            "certificate": None if v.certificate is None else named_from(v.certificate, results),
        }

    def verdicts(self, result: Restoration) -> list[str]:
        """What is to be said of the result."""
        agreement = result.verdict
        quiet = self.plan.method.scale and not (agreement.alarm or agreement.overstated)
        said = [] if quiet else [f"{agreement.sentence()}."]
        if result.run["fell_back"]:
            said.append("the anchor's splitting grew apart and went on by half-quadratic splitting.")
        return said if result.mask is None else said + mask_lines(result.mask)

    def restore(self, tell: Tell = lambda phase, done, of: None) -> Restoration:
        """Both stages, the score if there is one, the mask, and the facts of the run."""
        if self.score is not None and self.score.needs == "maps" and self.own_score is None:
            raise InputError(
                "The score is of the user's own maps; give `--score-files`, and the picture as the file that "
                "names them."
            )
        with enough_memory(self.plan):
            result = self._restored(tell)
        certificate = self.restorer.certificate
        if self.own_score is not None and self.score is not None:
            result = replace(result, score=self.score.smoothed(self.own_score))
        return result if certificate is None else result.masked(certificate, self.restorer.settings.alpha)

    def _restored(self, tell: Tell) -> Restoration:
        plan, photo, prior, restorer = self.plan, self.photo, self.restorer.prior, self.restorer
        begun = time.perf_counter()
        channels = prior.card.network.channels
        y = as_tensor(photo, channels)
        work = replace(plan.work, tile=restorer.tile, tell=tell)
        problem = plan.method.begin(y, channels // photo.pixels.shape[2], self._field, work)
        anchored = time.perf_counter()
        pictures, draws = {0.0: problem.anchor}, list[Tensor]()
        if plan.dials != (0,) or plan.samples:
            method = plan.method
            wanted = Walk(plan.dials, plan.path, plan.full_draws, plan.start, method.gradient)
            pictures, draws = walk(problem, wanted, self._field(), restorer.batch)
        if plan.consistent:
            pictures = {f: self._moved(x) for f, x in pictures.items()}
        sampled = time.perf_counter()
        samples = [self._finished(x) for x in draws[: plan.samples]]
        mean, std = _moments([p.pixels for p in samples], self.tempered.get("temperature", 1.0))
        agreement = self._verdict(self._moved(problem.anchor) if plan.consistent else problem.anchor)
        asked = positions(restorer.settings.dial or "0") if plan.sigma0 is None else plan.dials
        images = {f: self._finished(pictures[f]) for f in asked}
        score = None
        if plan.score is not None:
            score = self._scored(problem, pictures[plan.scored_dial], images[plan.scored_dial], samples)
        seconds = {"anchor": anchored - begun, "sample": sampled - anchored, "finish": time.perf_counter() - sampled}
        return Restoration(
            images=images,
            measurement=photo,
            samples=samples,
            mean=None if mean is None else samples[0].with_pixels(mean, samples[0].alpha),
            std=std,
            operator=plan.operator,
            verdict=agreement,
            run=self._facts(agreement, problem.fell_back, seconds),
            score=score,
        )

    def _field(self) -> NoiseField:
        return NoiseField(self.plan.seed, self.photo.content())

    def _own(self, x: Tensor) -> Tensor:
        """(1, C', H', W') on the problem's grid to (1, C, H, W), with the picture's own channels."""
        return torch.from_numpy(np.ascontiguousarray(self.photo.own(x[0].numpy(), self.plan.shape)))[None]

    def _finished(self, x: Tensor) -> Photo:
        return self.photo.like(x[0].numpy(), self.plan.shape)

    @cached_property
    def _data(self) -> DataTerm:
        """The measurement with the picture's own channels."""
        y = as_tensor(self.photo)
        return DataTerm(self.plan.operator, y, self.plan.noise, self.plan.rounding)

    def _moved(self, picture: Tensor) -> Tensor:
        """A picture moved to the data, on the truth grid alone; a grey picture's channels move together."""
        x = self._own(picture)
        moved = picture.clone()
        moved[..., : self.plan.shape[0], : self.plan.shape[1]] += consistent(x, self._data) - x
        return moved

    def _verdict(self, anchor: Tensor) -> Verdict:
        plan, method = self.plan, self.plan.method
        return verdict(
            self.restorer.prior.card,
            self._data,
            self._own(anchor),
            noise_std=plan.noise_std,
            anchor=f"{method.anchor}, consistent" if plan.consistent else method.anchor,
            stored=self.photo.bit_depth < 32,
            scale=method.scale,
        )

    def _scored(self, problem: Problem, picture: Tensor, delivered: Photo, samples: Sequence[Photo]) -> Array:
        """The score of a picture (1, C, H', W') on the problem's grid, (H, W)."""
        score, (height, width) = self.plan.score, self.plan.shape
        if score is None:
            raise ValueError("a plan without a score")
        if not isinstance(score, Predictor):
            return score.smoothed(score.of_pictures(delivered.pixels, [p.pixels for p in samples]))
        # An error of the mean above tau − d, where the picture is moved from it by d, is the least that makes the
        # picture's own error exceed tau.
        shift = (picture.clamp(0, 1) - problem.anchor.clamp(0, 1)).abs().amax(1)
        logit = problem.predicted_error(score.tau - shift)
        return score.smoothed(score.raised(logit[0, :height, :width].numpy()))

    def _facts(self, agreement: Verdict, fell_back: bool, seconds: dict[str, float]) -> dict[str, Any]:
        prior = self.restorer.prior
        return {
            "versions": dict(VERSIONS),
            "arguments": self.arguments(Path()),
            **self.made_of,
            "device": str(prior.device),
            "dtype": str(prior.dtype).removeprefix("torch."),
            "seconds": {k: round(v, 3) for k, v in seconds.items()},
            "fell_back": fell_back,
            "consistency": {"value": agreement.value, "low": agreement.low, "high": agreement.high},
        }


def _far(plan: Plan) -> str:
    if plan.sigma0:
        return f"a draw from noise level {plan.sigma0:g} on"
    return f"dial {', '.join(f'{f:g}' for f in plan.dials)}"


def _moments(draws: Sequence[Array], temperature: float) -> tuple[Array | None, Array | None]:
    """Mean and std (ddof 1) of the draws as delivered, the latter times the prior's temperature."""
    if len(draws) < 2:
        return None, None
    count, mean, squares = moments(draws)
    return mean.astype(np.float32), (temperature * np.sqrt(squares / (count - 1))).astype(np.float32)
