"""What a restoration will do, checked before any work: operator, mode, anchor, dials, sampler, cost."""

from dataclasses import dataclass, replace

import numpy as np
import torch

from veriscale.diffusion.prior import Prior
from veriscale.diffusion.samplers import evaluations
from veriscale.errors import InputError
from veriscale.imaging.colour import premultiplied
from veriscale.imaging.photo import Photo
from veriscale.physics.data_term import DataTerm
from veriscale.physics.downsample import Downsample
from veriscale.physics.measurement_noise import GaussianNoise, Noise, parse_noise
from veriscale.physics.noise_estimate import estimate_noise
from veriscale.physics.operator import LinearOperator, Operator, Shape
from veriscale.runtime.networks import TILE
from veriscale.traversal import renoise, splitting
from veriscale.traversal.dial import check_dials, find_table
from veriscale.traversal.presets import Preset, find_preset
from veriscale.traversal.start import PILOTS
from veriscale.trust.score_name import Score, check_score
from veriscale.workflows.choice import by_encoder, choose_anchor, choose_posterior, largest_noise
from veriscale.workflows.request import Request, check_values

SMALLEST = 8  # measurement pixels a side
LARGEST = 1e6  # value of a float file: what is far above 1 overflows, and coefficients may be as large as 1e4
TILE_BYTES = 1_500_000_000  # networks and a tile without gradients
GRADIENT_BYTES = 4000  # a pixel, for the graph of a tile; docs/results/zeroshot_memory.json
# Of the posterior `proximal`, chosen on validation photographs: docs/results/zeroshot_tuning.json.
ZERO_SHOT_SAMPLER, ZERO_SHOT_STEPS = "dpm-solver++", 20


@dataclass(frozen=True)
class Plan:
    """A checked request.

    Attributes:
        operator: what made the measurement, bound to its grid.
        noise: its noise, as given or estimated.
        noise_std: s, its standard deviation.
        conditional: whether the prior's encoder knows this measurement.
        why: a phrase that says what decided it.
        anchor, posterior: names of the two stages.
        preset: settings of `paper` and `dps`.
        consistent: whether the anchor is moved to the data at the end.
        dials: positions, sorted.
        path: how positions between 0 and 1 are reached.
        samples: draws at dial 1 for mean and std.
        sampler, steps: of the second stage.
        seed: of all noise.
        score: which score to compute, for masks.
        scored_dial: of which picture.
        shape: (H, W) of the result.
        notes: remarks for the user.
    """

    operator: Operator
    noise: Noise
    noise_std: float
    conditional: bool
    why: str
    anchor: str
    posterior: str
    preset: Preset
    consistent: bool
    dials: tuple[float, ...]
    path: str
    samples: int
    sampler: str
    steps: int
    seed: int
    shape: tuple[int, int]
    score: Score | None = None
    scored_dial: float = 0.0
    notes: tuple[str, ...] = ()

    @property
    def scale(self) -> int | None:
        """The factor, where the operator is plain downsampling by an integer."""
        return self.operator.scale if isinstance(self.operator, Downsample) else None

    @property
    def suffix(self) -> str:
        """What a result's name ends in."""
        return f"x{self.scale}" if self.scale else "restored"

    @property
    def inner(self) -> list[float]:
        """Positions between 0 and 1."""
        return [f for f in self.dials if 0 < f < 1]

    @property
    def full_draws(self) -> int:
        """Runs of the sampler from its highest level."""
        needed = 1 if 1 in self.dials or (self.inner and self.path == "interpolate") else 0
        if self.inner and not self.conditional:
            needed = 2  # pilot draws
        return max(self.samples, needed)

    @property
    def chains(self) -> int:
        """Runs of the sampler in all."""
        if self.path == "interpolate" or not self.inner:
            return self.full_draws
        return self.full_draws + len(self.inner) + (0 if self.conditional else len(PILOTS))

    @property
    def anchor_evaluations(self) -> int:
        """Evaluations of the denoiser in the first stage."""
        fast = splitting.evaluations(self.operator, isinstance(self.noise, GaussianNoise), (1, *self.shape))
        return {"mean": 0, "fast": fast, "paper": self.preset.iterations}[self.anchor]

    @property
    def evaluations(self) -> int:
        """Evaluations of the denoiser in all, each over one picture."""
        each = self.steps if self.posterior == "dps" else evaluations(self.sampler, self.steps)
        return self.anchor_evaluations + self.chains * each

    @property
    def features(self) -> bool:
        """Whether anything reads the encoder's features."""
        return self.chains > 0 or (self.score is not None and self.score.name == "predictor")

    @property
    def tile_memory(self) -> int:
        """Bytes for the networks and the activations of a tile, at most."""
        return GRADIENT_BYTES * min(TILE**2, self.shape[0] * self.shape[1]) if self.gradient else TILE_BYTES

    @property
    def gradient(self) -> bool:
        """Whether the second stage keeps the graph of the network: one draw at a time, then."""
        return self.posterior in ("dps", "covariance") and self.chains > 0

    def memory(self, channels: int, features: int) -> int:
        """Bytes of canvases at the peak, beside the networks and their tile: an upper estimate."""
        pixels = 4 * self.shape[0] * self.shape[1]
        pictures = 3 + self.samples + len(self.dials)
        if self.conditional:
            return pixels * (channels * pictures + (features + 5 * channels if self.features else 0))
        # The whole picture is one problem: the splitting's variables, and complex spectra where there are any.
        return pixels * channels * (pictures + (10 if self.operator.local else 18))


def make_plan(photo: Photo, prior: Prior, request: Request) -> Plan:
    """Check a request against a photograph and a prior.

    Raises:
        InputError: the prior does not know the scale or channels, a value is out of range, the picture is too small,
            or operator, noise, anchor and posterior do not go together.
    """
    _check_picture(photo, prior, request)
    operator = request.operator or Downsample(_scale(prior, request.scale))
    operator = operator.bind(np.eye(4))  # a photograph has no millimetres: a pixel counts as one
    truth = _truth(operator, photo)
    noise = _noise(operator, photo, request)
    dials = check_dials([request.dial] if isinstance(request.dial, int | float) else request.dial)
    check_values(request)
    if request.consistent and not isinstance(operator, LinearOperator):
        raise InputError(f"--consistent needs a linear operator, and {operator} is not; leave it out.")
    known, why = by_encoder(prior, operator, noise, request)
    if known and request.noise == "auto" and isinstance(noise, GaussianNoise):
        noise = GaussianNoise(min(noise.std, largest_noise(prior, operator)))
    plan = Plan(
        operator=operator,
        noise=noise,
        noise_std=noise.std if isinstance(noise, GaussianNoise) else _typical_std(operator, photo, noise),
        conditional=known,
        why=why,
        anchor="mean" if known else choose_anchor(operator, request),
        posterior="conditional" if known else choose_posterior(operator, noise, request),
        preset=find_preset(request.preset),
        consistent=request.consistent,
        dials=dials,
        path=request.path,
        samples=request.samples,
        sampler=request.sampler or (renoise.SAMPLER if known else ZERO_SHOT_SAMPLER),
        steps=request.steps or (renoise.STEPS if known else ZERO_SHOT_STEPS),
        seed=request.seed,
        shape=truth,
        score=request.score,
        scored_dial=request.scored_dial,
        notes=operator.notes,
    )
    if plan.posterior == "dps" and request.sampler is not None:
        raise InputError("The posterior 'dps' is a sampler of its own; leave out --sampler.")
    if plan.posterior == "dps" and request.steps is None:
        plan = replace(plan, steps=plan.preset.steps)
    if plan.score is not None:
        check_score(plan.score, known, plan.samples, prior.predictor is not None)
        if plan.scored_dial not in dials:
            raise InputError(f"The score is of dial {plan.scored_dial:g}, which is not among the positions asked for.")
    if plan.inner and known:
        find_table(prior.card, plan.scale or 0, plan.noise_std, plan.sampler, plan.steps)
    return plan


def _check_picture(photo: Photo, prior: Prior, request: Request) -> None:
    if photo.channels > prior.card.network.channels:
        raise InputError(
            f"Prior {prior.card.name!r} is for grey pictures and this one has {photo.channels} channels; "
            "convert it to grey or choose a colour prior."
        )
    if min(photo.height, photo.width) < SMALLEST:
        raise InputError(
            f"A picture of {photo.width}×{photo.height} is too small; {SMALLEST} pixels a side are the least."
        )
    if request.operator is None and photo.bit_depth == 32:
        low, high = float(photo.samples.min()), float(photo.samples.max())
        if (low < -0.5 or high > 2) and high <= LARGEST:
            raise InputError(
                f"Values from {low:.2g} to {high:.2g} are those of no picture; if it is a measurement, say --operator."
            )
    if photo.bit_depth == 32 and (largest := float(np.abs(photo.samples).max())) > LARGEST:
        raise InputError(f"A picture with values of {largest:.2g} cannot be restored; divide it, so that white is 1.")


def _scale(prior: Prior, scale: int | None) -> int:
    scales = prior.card.network.scales
    if scale is None:
        return max(scales)
    if scale not in scales:
        known = ", ".join(f"×{s}" for s in sorted(scales))
        raise InputError(
            f"Prior {prior.card.name!r} does not know scale ×{scale}; it knows {known}. Any other factor can be "
            f"restored without the encoder, as --operator downsample:factor={scale}."
        )
    return scale


def _noise(operator: Operator, photo: Photo, request: Request) -> Noise:
    if isinstance(request.noise, Noise):
        return request.noise
    if request.noise != "auto":
        return parse_noise(str(request.noise))
    # Where there are holes no block is whole, and coefficients are no picture.
    if not operator.picture or not operator.divisible:
        raise InputError(f"The noise of a measurement by {operator} cannot be estimated; state it.")
    return GaussianNoise(estimate_noise(premultiplied(photo.samples, photo.alpha)))


def _truth(operator: Operator, photo: Photo) -> tuple[int, int]:
    if not operator.picture and (photo.bit_depth != 32 or photo.alpha is not None):
        what = "transparency" if photo.bit_depth == 32 else f"{photo.bit_depth} bits"
        raise InputError(
            f"A picture with {what} is no measurement by {operator}, whose coefficients are floating point; "
            "give the .npy or .tif that holds them."
        )
    if not isinstance(operator, LinearOperator) and photo.alpha is not None and float(photo.alpha.min()) < 1:
        raise InputError(f"A picture with transparency is no measurement by {operator}; flatten it first.")
    measured: Shape = (photo.channels, photo.height, photo.width)
    truth = operator.truth_shape(measured)
    if operator.measurement_shape(truth) != measured:
        raise InputError(f"A measurement of {photo.width}×{photo.height} cannot be of {operator}.")
    operator.support(measured)  # masks of another size say so
    if min(truth[-2:]) < SMALLEST:
        raise InputError(f"A picture of {truth[-1]}×{truth[-2]} is too small; {SMALLEST} pixels a side are the least.")
    return truth[-2], truth[-1]


def _typical_std(operator: Operator, photo: Photo, noise: Noise) -> float:
    if not operator.picture and not noise.signed:
        raise InputError(f"Noise {noise} is for pictures, and a measurement by {operator} is none; use gaussian.")
    y = torch.from_numpy(photo.samples).permute(2, 0, 1)[None]
    return DataTerm(operator, y, noise).noise_std
