"""Restoring any measurement with the unconditional prior."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from typing import Any, ClassVar

import torch
from torch import Tensor

from veriscale.diffusion.noise_field import NoiseField
from veriscale.diffusion.prior import Prior
from veriscale.diffusion.samplers import Denoiser, evaluations
from veriscale.diffusion.schedule import karras
from veriscale.errors import InputError
from veriscale.physics.data_term import DataTerm
from veriscale.physics.masked import Masked
from veriscale.physics.measurement_noise import ROUNDING, Noise
from veriscale.physics.operator import Operator, Shape
from veriscale.physics.slice_profile import SliceProfile
from veriscale.runtime.networks import Correction, UnconditionalDenoiser
from veriscale.runtime.two_way import PlacedDenoiser, TwoWayDenoiser
from veriscale.traversal import anchor as anchors
from veriscale.traversal.dial import Dial, best_path
from veriscale.traversal.dps import dps
from veriscale.traversal.evaluations import Evaluations
from veriscale.traversal.fill import filled
from veriscale.traversal.method import Work
from veriscale.traversal.pilot import pilot
from veriscale.traversal.posterior import Covariance, Proximal
from veriscale.traversal.presets import DEFAULT, Preset
from veriscale.traversal.renoise import renoise, renoised, unit_noise
from veriscale.traversal.splitting import THICK_SLICES, splitting_evaluations, splitting_for
from veriscale.traversal.start import PILOTS, full_level, pilot_starts
from veriscale.traversal.thick_slices import ThickSlices

# Of the posterior `proximal`, chosen on validation photographs: docs/results/zeroshot_tuning.json.
SAMPLER, STEPS = "dpm-solver++", 20
MEAN_OF = 4


@dataclass(frozen=True)
class ZeroShot:
    """Both stages by the unconditional denoiser and the operator: a `Method`.

    Attributes:
        prior: on its device.
        operator, noise: of the measurement; the operator bound to its grid.
        shape: of the measurement, (C, H, W), or (C, X, Y, Z) of a volume, whose slices are thick.
        anchor: "fast", "paper", or "draws": the mean of `MEAN_OF` draws by `dps` from `fast`.
        posterior: "proximal", "dps" or "covariance".
        knobs: settings of `paper` and `dps`.
        sampler, steps: of the second stage.
        rounding: standard deviation of the measurement's rounding, which its noise is at least.
    """

    prior: Prior
    operator: Operator
    noise: Noise
    shape: Shape
    anchor: str = "fast"
    posterior: str = "proximal"
    knobs: Preset = DEFAULT
    sampler: str = SAMPLER
    steps: int = STEPS
    rounding: float = ROUNDING

    name = "zero-shot"
    scale = None
    told: ClassVar[dict[str, Any]] = {}
    pilots = 2, len(PILOTS)

    @property
    def how(self) -> str:
        """A phrase that says how the prior is used."""
        by = ", corrected by guides" if self.corrected else ""
        return f"unconditionally (zero-shot, anchor {self.anchor}{by})"

    @property
    def thick(self) -> SliceProfile | None:
        """What made the slices of a volume thick; None of pictures."""
        return self.operator if isinstance(self.operator, SliceProfile) and len(self.shape) == 4 else None

    @property
    def corrected(self) -> bool:
        """Whether the anchor is found without guides and corrected by them."""
        return self.thick is not None and self.anchor != "paper" and self.prior.corrects

    @property
    def path(self) -> str:
        """The prior's better one for this operator."""
        return best_path(self.prior.mode(0), self.operator)

    @cached_property
    def sigma_max(self) -> float:
        """The noise level at which a full draw starts."""
        return min(full_level(self.operator, self.noise, self.shape, self.posterior), self.prior.mode(0).sigma_max)

    @property
    def first_evaluations(self) -> int:
        """Evaluations of the denoiser in the first stage."""
        if self.anchor == "paper":
            return self.knobs.iterations
        fast = splitting_evaluations(self.operator, self.noise, self.operator.truth_shape(self.shape))
        return fast + MEAN_OF * self.knobs.steps if self.anchor == "draws" else fast

    @property
    def evaluations(self) -> int:
        """Evaluations of the denoiser in one draw."""
        return self.steps if self.posterior == "dps" else evaluations(self.sampler, self.steps)

    @property
    def gradient(self) -> bool:
        """Whether a draw keeps the graph of the network: one at a time, then."""
        return self.posterior in ("dps", "covariance")

    @property
    def settings(self) -> dict[str, Any]:
        """The knobs, where the first stage reads them."""
        return {} if self.anchor == "fast" else asdict(self.knobs)

    def check_dial(self) -> None:
        """Every position can be reached."""

    def memory(self, pixels: int, channels: int, pictures: int, features: bool) -> int:
        """Bytes of canvases at the peak: the whole picture is one problem."""
        # The splitting's variables, and complex spectra where there are any.
        return 4 * pixels * channels * (pictures + (10 if self.operator.local else 18))

    def costs(self) -> tuple[str, str]:
        """Two phrases about the first stage and the memory."""
        whole = " The whole picture is one problem; only the network runs in tiles."
        return f"{self.first_evaluations} for the anchor", whole

    def begin(self, y: Tensor, copies: int, noise: Callable[[], NoiseField], work: Work) -> "ZeroShotProblem":
        """The anchor; arguments as `Method.begin`."""
        return ZeroShotProblem(self, DataTerm(self.operator, y, self.noise, self.rounding, copies), noise, work)


class ZeroShotProblem:
    """A measurement whose anchor is found."""

    def __init__(self, method: ZeroShot, data: DataTerm, noise: Callable[[], NoiseField], work: Work) -> None:
        self.method, self.data, self.work = method, data, work
        self.mode = method.prior.mode(0)
        self.evaluations = Evaluations(work, method.first_evaluations)
        self._draw_by(method.prior)
        unguided = method.prior.plain if method.corrected else method.prior  # what is corrected knows nothing of guides
        self.first = self._over(UnconditionalDenoiser(unguided, work.tile))
        found = self._anchor(noise)
        self.anchor, self.fell_back = found.x, bool(found.fell_back.any())

    def _draw_by(self, prior: Prior) -> None:
        network = UnconditionalDenoiser(prior, self.work.tile)
        self._denoise = self.evaluations.counted(self._over(network))
        self._pullback = self.evaluations.counted(network.pullback)

    def _over(self, network: PlacedDenoiser) -> PlacedDenoiser:
        """Of pictures, or of a volume."""
        thick = self.method.thick
        return network if thick is None else TwoWayDenoiser(network, thick.axis)

    def draw(self, fields: Sequence[tuple[NoiseField, int]], start: float) -> Tensor:
        """Draws from `start`, (B, C, H, W), one per field; those that an earlier run has left are taken."""
        kept, stage = self.work.kept, f"draw-{'-'.join(str(k) for _, k in fields)}-from-{start:g}"
        left = None if kept is None else kept.taken(stage)
        if left is not None:
            self.evaluations.done += int(left["evaluations"])
            return left["x"]
        before = self.evaluations.done
        x = self._drawn(fields, start)
        if kept is not None:
            kept.put(stage, {"x": x, "evaluations": torch.tensor(self.evaluations.done - before)})
        return x

    def _drawn(self, fields: Sequence[tuple[NoiseField, int]], start: float) -> Tensor:
        method, mode = self.method, self.mode
        if method.posterior == "dps":
            return self._dps(renoised(self.anchor, start, fields), fields, start, method.steps, "dps")
        data = self._data(len(fields))
        if method.posterior == "covariance":
            posterior: Callable[[Tensor, float], Tensor] = Covariance(self._pullback, data)
        else:
            kind = Proximal if method.thick is None else ThickSlices
            # Σ of equal channels has one direction, in which the noise of x_σ is less: as if V were more.
            posterior = kind(self._denoise, data, data.copies * mode.sigma_data[0] ** 2)
        return renoise(
            self.anchor,
            posterior,
            start,
            sigma_min=mode.sigma_min,
            sampler=method.sampler,
            steps=method.steps,
            variance=lambda s: mode.variance_at(s, 0.0),
            fields=fields,
        )

    def dial(self, full: Sequence[Tensor], partial: Callable[[float], Tensor] | None) -> Dial:
        """Learned from draws on this picture; without partial ones for the path `interpolate` alone."""
        if partial is None:
            return pilot(self.anchor, full, lambda start: full[0], (), self.method.sigma_max)
        starts = pilot_starts(self.method.operator, self.method.sigma_max)
        return pilot(self.anchor, full, partial, starts, self.method.sigma_max)

    def predicted_error(self, threshold: Tensor) -> Tensor:
        """There is none."""
        raise InputError("The error predictor needs a measurement that the prior's encoder knows.")

    def _anchor(self, noise: Callable[[], NoiseField]) -> anchors.Anchor:
        method, data = self.method, self.data
        tell = partial(self.work.tell, "anchor")
        if self.work.kept is not None and (left := self.work.kept.taken("anchor")) is not None:
            self.evaluations.done += int(left["done"])
            del left  # `fast` takes it once more, and two of a volume are many
        if method.anchor in ("fast", "draws"):
            denoise = self.evaluations.counted(self.first)
            found = fast_anchor(
                method.prior, data, denoise, lambda: [(noise(), 0)], tell, self.work.kept, self._flipped
            )
            if method.corrected:
                self._draw_by(method.prior.about(found.x))
                found = found._replace(x=self._corrected(found.x))
            return found if method.anchor == "fast" else found._replace(x=self._mean(found.x, noise()))
        preset = method.knobs
        weight = anchors.consistent_weight(data.noise_std, preset.sigma) if preset.weight is None else preset.weight
        shape = tuple(data.start().shape[1:])
        return anchors.paper(
            self._denoise,
            data,
            iterations=preset.iterations,
            weight=weight,
            rate=preset.rate,
            sigma=preset.sigma,
            noise=partial(unit_noise, [(noise(), 0)], "anchor", shape=shape),
            tell=tell,
        )

    def _mean(self, fast: Tensor, field: NoiseField) -> Tensor:
        """Of draws, one after the other."""
        method = self.method
        start = min(full_level(method.operator, method.noise, method.shape, "dps"), self.mode.sigma_max)
        total = torch.zeros_like(fast)
        for k in range(MEAN_OF):
            x = fast + start * unit_noise([(field, k)], "anchor", method.knobs.steps, fast.shape[1:])
            total += self._dps(x, [(field, k)], start, method.knobs.steps, "anchor")
        return total / MEAN_OF

    def _dps(self, x: Tensor, fields: Sequence[tuple[NoiseField, int]], start: float, steps: int, stage: str) -> Tensor:
        sigmas = karras(start, min(self.mode.sigma_min, start / 2), steps)
        noise = partial(unit_noise, fields, stage, shape=x.shape[1:])
        return dps(self._pullback, self._data(len(fields)), x, sigmas, self.method.knobs.zeta, noise)

    def _data(self, copies: int) -> DataTerm:
        return replace(self.data, y=self.data.y.expand(copies, *self.data.y.shape[1:]))

    def _flipped(self, axes: tuple[int, ...]) -> Denoiser:
        return self.evaluations.counted(self.first.rearranged(lambda t: t.flip(axes)))

    def _corrected(self, x: Tensor) -> Tensor:
        """By guides, in pictures of both directions, and pulled to the data again."""
        correct = self._over(Correction(self.method.prior, self.work.tile))
        return self.data.prox(correct(x, 0.0), THICK_SLICES.low)


def fast_anchor(
    prior: Prior,
    data: DataTerm,
    denoise: Denoiser,
    fields: Callable[[], Sequence[tuple[NoiseField, int]]],
    tell: anchors.Tell = lambda done, of: None,
    kept: anchors.Kept | None = None,
    flipped: Callable[[tuple[int, ...]], Denoiser] | None = None,
) -> anchors.Anchor:
    """The anchor `fast` of a batch of measurements, by what is on the prior's card.

    Args:
        prior: whose card it is.
        data: the measurements; linear.
        denoise: the prior's, over whole pictures.
        fields: makes a noise for each, which a blind prior reads its level off.
        tell: called after every level.
        kept: where the state is left.
        flipped: as of `anchor.fast`.
    """
    mode, shape = prior.mode(0), data.operator.truth_shape(tuple(data.y.shape[1:]))
    mean = torch.full((len(data.y), *shape), prior.card.mean)
    if isinstance(data.operator, Masked) and data.operator.picture:
        seen = torch.tensor(data.operator.measured(tuple(data.y.shape[1:]))).to(data.y)
        mean = filled(data.y, seen.reshape(1, 1, *shape[-2:]))
    way = splitting_for(data, shape, mode, prior.blind)
    noise = partial(unit_noise, fields(), "anchor", shape=shape) if prior.blind else None
    return anchors.fast(denoise, data, way, mean, mode.sigma_data[0] ** 2, tell, noise, kept, flipped)
