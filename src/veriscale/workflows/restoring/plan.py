"""What a restoration by a prior will do, checked before any work: measurement, method, dials, draws, cost."""

from dataclasses import dataclass
from typing import Any

from veriscale.diffusion.prior import Prior, TrainedPrior
from veriscale.diffusion.samplers import check_variance
from veriscale.errors import InputError
from veriscale.imaging.photo import Photo
from veriscale.latent.prior import LatentPrior
from veriscale.physics.downsample import Downsample
from veriscale.physics.measurement_noise import ROUNDING, GaussianNoise, Noise
from veriscale.physics.operator import LinearOperator, Operator, ProximalOperator
from veriscale.runtime.networks import TILE
from veriscale.settings import Settings, positions
from veriscale.traversal import renoise
from veriscale.traversal.conditional import Conditional
from veriscale.traversal.method import Method, Work
from veriscale.trust.scores.registry import check_score
from veriscale.trust.scores.score import Score
from veriscale.workflows.restoring.measured_picture import check_picture, estimated_noise, truth_shape, typical_std
from veriscale.workflows.restoring.method_choice import (
    by_denoiser,
    by_encoder,
    by_latents,
    check_ensemble,
    check_start,
    check_told,
    check_values,
    known_scale,
)

NOISELESS = GaussianNoise(0.0)
TILE_BYTES = 1_500_000_000  # networks and a tile without gradients
GRADIENT_BYTES = 4000  # a pixel, for the graph of a tile; docs/results/zeroshot_memory.json


@dataclass(frozen=True)
class Plan:
    """Checked settings for one picture.

    Attributes:
        operator: what made the measurement, bound to its grid.
        operator_string: its string.
        scale: its factor, where it is plain downsampling by an integer.
        noise: its noise, as given or estimated, and at least what the operator's own rounding makes.
        noise_string: as it was given or estimated.
        noise_std: s, its standard deviation.
        method: how the prior restores it.
        why: a phrase that says what decided that.
        consistent: whether the anchor is moved to the data at the end.
        dials: positions, sorted.
        path: how positions between 0 and 1 are reached.
        samples: draws at dial 1 for mean and std.
        seed: of all noise.
        shape: (H, W) of the result.
        score: which score to compute, for masks.
        scored_dial: of which picture.
        sigma0: noise level at which the second stage begins, where it was asked for in the place of a dial position.
        rounding: standard deviation of the measurement's rounding.
    """

    operator: Operator
    operator_string: str
    scale: int | None
    noise: Noise
    noise_string: str
    noise_std: float
    method: Method
    why: str
    consistent: bool
    dials: tuple[float, ...]
    path: str
    samples: int
    seed: int
    shape: tuple[int, int]
    score: Score | None = None
    scored_dial: float = 0.0
    sigma0: float | None = None
    rounding: float = ROUNDING

    @property
    def start(self) -> float:
        """The noise level at which a full draw starts."""
        return self.method.sigma_max if self.sigma0 is None else self.sigma0

    @property
    def inner(self) -> list[float]:
        """Positions between 0 and 1."""
        return [f for f in self.dials if 0 < f < 1]

    @property
    def full_draws(self) -> int:
        """Runs of the sampler from its highest level."""
        needed = 1 if 1 in self.dials or (self.inner and self.path == "interpolate") else 0
        return max(self.samples, needed, self.method.pilots[0] if self.inner else 0)

    @property
    def chains(self) -> int:
        """Runs of the sampler in all."""
        if self.path == "interpolate" or not self.inner:
            return self.full_draws
        return self.full_draws + len(self.inner) + self.method.pilots[1]

    @property
    def work(self) -> Work:
        """What the method's problem will be asked; its tiles and its audience are whoever runs it."""
        chains = self.chains
        features = chains > 0 or (self.score is not None and self.score.needs == "predictor")
        draws = chains * self.method.evaluations if chains else 0
        return Work(features, self.method.first_evaluations + draws)

    def facts(self) -> dict[str, Any]:
        """What is done, for run.json and certificates."""
        method = self.method
        files = self.operator.contents
        return {
            "mode": method.name,
            "operator": self.operator_string,
            **({"operator_files": " + ".join(files)} if files else {}),
            "noise": self.noise_string,
            "noise_std": self.noise_std,
            "anchor": method.anchor,
            "posterior": method.posterior,
            "consistent": self.consistent,
            **({"dial": list(self.dials)} if self.sigma0 is None else {"sigma0": self.sigma0}),
            "path": self.path,
            "samples": self.samples,
            "sampler": method.sampler,
            "steps": method.steps,
            "evaluations": self.work.evaluations,
            "seed": self.seed,
            **method.told,
        }

    @property
    def tile_memory(self) -> int:
        """Bytes for the networks and the activations of a tile, at most."""
        graph = (self.method.gradient and self.chains > 0) or self.method.anchor == "draws"
        return GRADIENT_BYTES * min(TILE**2, self.shape[0] * self.shape[1]) if graph else TILE_BYTES

    def memory(self, channels: int) -> int:
        """Bytes of canvases at the peak, beside the networks and their tile: an upper estimate."""
        pictures = 3 + self.samples + len(self.dials)
        return self.method.memory(self.shape[0] * self.shape[1], channels, pictures, self.work.features)


def make_plan(
    photo: Photo,
    prior: Prior,
    settings: Settings,
    operator: Operator | None = None,
    noise: Noise | None = NOISELESS,
    score: Score | None = None,
    scored_dial: float = 0.0,
    rounding: float = ROUNDING,
) -> Plan:
    """Check settings against a photograph and a prior.

    Args:
        photo: the measurement.
        prior: on its device.
        settings: settled.
        operator: what made the measurement; bicubic downsampling by the settings' scale when None.
        noise: its noise; None estimates it.
        score: which score to compute.
        scored_dial: of which picture.
        rounding: standard deviation of the measurement's rounding; that of 8 bits by default.

    Raises:
        InputError: the prior does not know the scale or channels, a value is out of range, the picture is too small,
            or operator, noise, anchor and posterior do not go together.
    """
    v = settings
    check_picture(photo, prior, operator is not None)
    a = (operator or Downsample(known_scale(prior, v.scale))).bind(photo.affine)
    truth = truth_shape(a, photo)
    estimated = noise is None
    noise = estimated_noise(a, photo) if noise is None else noise
    dials = tuple(sorted(positions(v.dial or "0"))) if v.sigma0 is None else (1.0 if v.sigma0 else 0.0,)
    check_values(v)
    check_told(prior, v)
    if v.consistent and not isinstance(a, LinearOperator):
        raise InputError(f"`--consistent` needs a linear operator, and {a} is not; leave it out.")
    factor = a.scale if isinstance(a, Downsample) else None
    scale, why = by_encoder(prior, a, factor, noise, v, estimated)
    if scale and estimated and isinstance(noise, GaussianNoise):
        noise = GaussianNoise(min(noise.std, prior.mode(scale).noise_std[-1]))
    stated = str(noise)
    if isinstance(noise, GaussianNoise):
        noise = GaussianNoise(max(noise.std, a.noise_std))
    noise_std = noise.std if isinstance(noise, GaussianNoise) else typical_std(a, photo, noise, rounding)
    method: Method
    if v.ensemble:
        check_ensemble(scale, why, dials, v)
    if scale and isinstance(prior, TrainedPrior):
        steps = v.steps or renoise.STEPS
        anchor = "ensemble" if v.ensemble else "mean"
        method = Conditional(prior, scale, noise_std, v.sampler or renoise.SAMPLER, steps, anchor)
    else:
        shape = photo.channels, *photo.pixels.shape[:2]
        if isinstance(prior, LatentPrior):
            method = by_latents(prior, a, noise, shape, v, rounding)
        else:
            method = by_denoiser(prior, a, noise, shape, v, rounding)
    if v.sigma0 is not None:
        check_start(v.sigma0, v, method, score)
    plan = Plan(
        operator=a,
        operator_string=str(a),
        scale=factor,
        noise=noise,
        noise_string=stated,
        noise_std=noise_std,
        method=method,
        why=why,
        consistent=bool(v.consistent),
        dials=dials,
        path=v.path or (method.path if v.sigma0 is None else "renoise"),
        samples=v.samples or 0,
        seed=v.seed or 0,
        shape=truth,
        score=score,
        scored_dial=scored_dial,
        sigma0=v.sigma0,
        rounding=rounding,
    )
    if score is not None:
        check_score(score, scale is not None, plan.samples, prior.predictor is not None)
        if scored_dial not in dials:
            raise InputError(f"The score is of dial {scored_dial:g}, which is not among the positions asked for.")
    if any(0 < f < 1 for f in dials):
        method.check_dial()
    if plan.chains:
        check_variance(method.sampler, prior.mode(scale or 0), prior.card.name)
    if isinstance(a, ProximalOperator) and (
        method.anchor in ("fast", "draws") or (method.posterior == "proximal" and plan.chains)
    ):
        a.check_noise(isinstance(noise, GaussianNoise))
    return plan
