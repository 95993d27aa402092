"""What a restoration by a prior will do, checked before any work: measurement, method, dials, draws, cost."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from veriscale.diffusion.prior import Prior, TrainedPrior
from veriscale.diffusion.samplers import sampler
from veriscale.errors import InputError, closest
from veriscale.imaging.photo import Photo
from veriscale.physics.data_term import DataTerm
from veriscale.physics.downsample import Downsample
from veriscale.physics.measurement_noise import GaussianNoise, Noise
from veriscale.physics.noise_estimate import estimate_noise
from veriscale.physics.operator import LinearOperator, Operator, ProximalOperator, Shape
from veriscale.physics.own_operator import check_own
from veriscale.runtime.networks import TILE
from veriscale.settings import Settings, positions
from veriscale.traversal import renoise, zero_shot
from veriscale.traversal.conditional import Conditional
from veriscale.traversal.dial import PATHS, check_sigma_0
from veriscale.traversal.method import Method, Work
from veriscale.traversal.presets import find_preset
from veriscale.traversal.zero_shot import ZeroShot
from veriscale.trust.scores.registry import check_score
from veriscale.trust.scores.score import Score

ANCHORS = ("mean", "fast", "paper")
POSTERIORS = ("conditional", "proximal", "dps", "covariance")
NOISELESS = GaussianNoise(0.0)
SMALLEST = 8  # measurement pixels a side
LARGEST = 1e6  # value of a float file: what is far above 1 overflows, and coefficients may be as large as 1e4
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
        }

    @property
    def tile_memory(self) -> int:
        """Bytes for the networks and the activations of a tile, at most."""
        graph = self.method.gradient and self.chains > 0
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

    Raises:
        InputError: the prior does not know the scale or channels, a value is out of range, the picture is too small,
            or operator, noise, anchor and posterior do not go together.
    """
    v = settings
    _check_picture(photo, prior, operator is not None)
    a = (operator or Downsample(known_scale(prior, v.scale))).bind(photo.affine)
    truth = _truth(a, photo)
    estimated = noise is None
    noise = _estimated(a, photo) if noise is None else noise
    dials = tuple(sorted(positions(v.dial or "0"))) if v.sigma0 is None else (1.0 if v.sigma0 else 0.0,)
    _check_values(v)
    if v.consistent and not isinstance(a, LinearOperator):
        raise InputError(f"`--consistent` needs a linear operator, and {a} is not; leave it out.")
    factor = a.scale if isinstance(a, Downsample) else None
    scale, why = _by_encoder(prior, a, factor, noise, v, estimated)
    if scale and estimated and isinstance(noise, GaussianNoise):
        noise = GaussianNoise(min(noise.std, prior.mode(scale).noise_std[-1]))
    stated = str(noise)
    if isinstance(noise, GaussianNoise):
        noise = GaussianNoise(max(noise.std, a.noise_std))
    noise_std = noise.std if isinstance(noise, GaussianNoise) else _typical_std(a, photo, noise)
    method: Method
    if v.ensemble:
        _check_ensemble(scale, why, dials, v)
    if scale and isinstance(prior, TrainedPrior):
        steps = v.steps or renoise.STEPS
        anchor = "ensemble" if v.ensemble else "mean"
        method = Conditional(prior, scale, noise_std, v.sampler or renoise.SAMPLER, steps, anchor)
    else:
        method = _zero_shot(prior, a, noise, (photo.channels, *photo.pixels.shape[:2]), v)
    if v.sigma0 is not None:
        _check_start(v.sigma0, v, method, score)
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
        path=v.path or method.path,
        samples=v.samples or 0,
        seed=v.seed or 0,
        shape=truth,
        score=score,
        scored_dial=scored_dial,
        sigma0=v.sigma0,
    )
    if score is not None:
        check_score(score, scale is not None, plan.samples, prior.predictor is not None)
        if scored_dial not in dials:
            raise InputError(f"The score is of dial {scored_dial:g}, which is not among the positions asked for.")
    if any(0 < f < 1 for f in dials):
        method.check_dial()
    if isinstance(a, ProximalOperator) and (
        method.anchor == "fast" or (method.posterior == "proximal" and plan.chains)
    ):
        a.check_noise(isinstance(noise, GaussianNoise))
    return plan


def _check_values(v: Settings) -> None:
    if v.path not in (None, *PATHS):
        raise InputError(f"Unknown path {v.path!r}; {closest(v.path or '', PATHS)}.")
    if v.sampler is not None:
        sampler(v.sampler)
    for name, given, known in (("anchor", v.anchor, ANCHORS), ("posterior", v.posterior, POSTERIORS)):
        if given is not None and given not in known:
            raise InputError(f"Unknown {name} {given!r}; {closest(given, known)}.")
    samples, seed = v.samples or 0, v.seed or 0
    if (v.steps is not None and v.steps < 1) or samples < 0 or seed < 0:
        raise InputError(
            f"steps {v.steps}, samples {samples}, seed {seed}: steps must be at least 1, the others at least 0."
        )
    if samples == 1:
        raise InputError("samples is 1, and one draw has no spread; ask for at least 2, or for `--dial` 1.")


def _check_picture(photo: Photo, prior: Prior, measured: bool) -> None:
    height, width, channels = photo.pixels.shape
    if channels > prior.card.network.channels:
        raise InputError(
            f"Prior {prior.card.name!r} is for grey pictures and this one has {channels} channels; "
            "convert it to grey or choose a colour prior."
        )
    if min(height, width) < SMALLEST:
        raise InputError(f"A picture of {width}×{height} is too small; {SMALLEST} pixels a side are the least.")
    if not measured and photo.bit_depth == 32:
        low, high = float(photo.pixels.min()), float(photo.pixels.max())
        if (low < -0.5 or high > 2) and high <= LARGEST:
            raise InputError(
                f"Values from {low:.2g} to {high:.2g} are those of no picture; if it is a measurement, say "
                "`--operator`."
            )
    if photo.bit_depth == 32 and (largest := float(np.abs(photo.pixels).max())) > LARGEST:
        raise InputError(f"A picture with values of {largest:.2g} cannot be restored; divide it, so that white is 1.")


def known_scale(prior: Prior, scale: float | None) -> int:
    """The scale, or the largest, that the prior's encoder knows.

    Raises:
        InputError: it does not.
    """
    scales = prior.card.network.scales
    if not scales and (scale is None or scale != int(scale)):
        raise InputError(
            f"Prior {prior.card.name!r} has no encoder and no factor of its own; say `--operator`, such as "
            "downsample:factor=2.5, or a whole `--scale`."
        )
    if scale is None:
        return max(scales)
    if scales and scale not in scales:
        known = ", ".join(f"×{s}" for s in sorted(scales))
        raise InputError(
            f"Prior {prior.card.name!r} does not know scale ×{scale:g}; it knows {known}. Any other factor can be "
            f"restored without the encoder, as `--operator` downsample:factor={scale:g}."
        )
    return int(scale)


def _estimated(operator: Operator, photo: Photo) -> Noise:
    # Where there are holes no block is whole, and coefficients are no picture.
    if not operator.picture or not operator.divisible:
        raise InputError(f"The noise of a measurement by {operator} cannot be estimated; state it.")
    return GaussianNoise(estimate_noise(photo.planes().transpose(1, 2, 0)))


def _truth(operator: Operator, photo: Photo) -> tuple[int, int]:
    if not operator.picture and (photo.bit_depth != 32 or photo.alpha is not None):
        what = "transparency" if photo.bit_depth == 32 else f"{photo.bit_depth} bits"
        raise InputError(
            f"A picture with {what} is no measurement by {operator}, whose coefficients are floating point; "
            "give the .npy or .tif that holds them."
        )
    if not isinstance(operator, LinearOperator) and photo.alpha is not None and float(photo.alpha.min()) < 1:
        raise InputError(f"A picture with transparency is no measurement by {operator}; flatten it first.")
    height, width, channels = photo.pixels.shape
    measured: Shape = (channels, height, width)
    truth = operator.truth_shape(measured)
    if operator.measurement_shape(truth) != measured:
        raise InputError(f"A measurement of {width}×{height} cannot be of {operator}.")
    check_own(operator, truth)
    operator.support(measured)  # masks of another size say so
    if min(truth[-2:]) < SMALLEST:
        raise InputError(f"A picture of {truth[-1]}×{truth[-2]} is too small; {SMALLEST} pixels a side are the least.")
    return truth[-2], truth[-1]


def _typical_std(operator: Operator, photo: Photo, noise: Noise) -> float:
    if not operator.picture and not noise.signed:
        raise InputError(f"Noise {noise} is for pictures, and a measurement by {operator} is none; use gaussian.")
    y = torch.from_numpy(photo.pixels).permute(2, 0, 1)[None]
    return DataTerm(operator, y, noise).noise_std


def _by_encoder(
    prior: Prior, operator: Operator, factor: int | None, noise: Noise, v: Settings, estimated: bool
) -> tuple[int | None, str]:
    """The scale at which the prior's encoder knows a measurement, None where it does not, and the phrase that says why.

    Raises:
        InputError: an anchor or posterior was asked for that only the encoder has, and it cannot be used.
    """
    scales = prior.card.network.scales
    scale = factor if isinstance(operator, Downsample) and operator.kernel == "bicubic" else None
    known = scale in scales
    asked = [n for n in (v.anchor, v.posterior) if n not in (None, "mean", "conditional")]
    if v.preset:
        asked.append(v.preset)
    if known and asked:
        _refuse_conditional(v, f"{asked[0]!r} asks for the unconditional prior")
        return None, f"as {asked[0]!r} asks"
    if not known or scale is None:
        trained = ", ".join(f"×{s}" for s in sorted(scales))
        reason = f"its encoder knows bicubic {trained} only" if scales else "it has no encoder"
        _refuse_conditional(v, f"{reason}, not {operator}" if scales else reason)
        return None, f"since {reason}"
    if not isinstance(noise, GaussianNoise):
        _refuse_conditional(v, f"its encoder knows Gaussian noise only, not {noise}")
        return None, "since its encoder knows Gaussian noise only"
    largest = prior.mode(scale).noise_std[-1]
    if noise.std > largest and not estimated:
        _refuse_conditional(v, f"its encoder knows noise up to {largest:g}, not {noise.std:g}")
        return None, f"since its encoder knows noise up to {largest:g} only"
    return scale, f"since it knows bicubic ×{scale}"


def _check_ensemble(scale: int | None, why: str, dials: tuple[float, ...], v: Settings) -> None:
    reason = "draws are asked for" if v.samples else None if scale else f"the prior is used without it, {why}"
    if dials != (0,):
        reason = "a dial position above 0 is asked for"
    if reason:
        raise InputError(f"`--ensemble` is a mean of what the prior's encoder makes, and {reason}; leave it out.")


def _check_start(start: float, v: Settings, method: Method, score: Score | None) -> None:
    if v.dial is not None:
        raise InputError("`--sigma0` and `--dial` both say how far to go; give one of them.")
    if v.samples or score is not None:
        raise InputError(
            "`--sigma0` is for one picture; draws for a spread and masks are of `--dial`, so leave it out."
        )
    check_sigma_0(start, method.sigma_max)


def _refuse_conditional(v: Settings, reason: str) -> None:
    asked = [n for n in (v.anchor, v.posterior) if n in ("mean", "conditional")]
    if asked:
        raise InputError(f"{asked[0]!r} cannot be had, since {reason}; leave it out.")


def _zero_shot(prior: Prior, operator: Operator, noise: Noise, shape: Shape, v: Settings) -> ZeroShot:
    known, preset = isinstance(operator, ProximalOperator), find_preset(v.preset)
    usual = isinstance(operator, ProximalOperator) and operator.dependable
    anchor = v.anchor or ("paper" if v.preset or not usual else "fast")
    if anchor == "fast" and not known:
        raise InputError(f"Anchor 'fast' needs a proximal map, and {operator} has none; choose 'paper'.")
    posterior = v.posterior or ("dps" if v.preset or not usual else "proximal")
    if posterior == "proximal" and not known:
        raise InputError(f"Posterior 'proximal' needs a proximal map, and {operator} has none; choose 'dps'.")
    if posterior == "covariance" and not isinstance(operator, LinearOperator):
        raise InputError(f"Posterior 'covariance' needs a linear operator, and {operator} is not; choose another.")
    if posterior == "covariance" and not isinstance(noise, GaussianNoise):
        raise InputError(f"Posterior 'covariance' needs Gaussian noise, not {noise}; choose 'proximal' or 'dps'.")
    if posterior == "dps" and v.sampler is not None:
        raise InputError("The posterior 'dps' is a sampler of its own; leave out `--sampler`.")
    steps = v.steps or (preset.steps if posterior == "dps" else zero_shot.STEPS)
    return ZeroShot(prior, operator, noise, shape, anchor, posterior, preset, v.sampler or zero_shot.SAMPLER, steps)
