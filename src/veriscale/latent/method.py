"""Restoring any measurement in the latents of a pretrained model."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from torch import Tensor

from veriscale.diffusion.noise_field import NoiseField
from veriscale.diffusion.samplers import evaluations
from veriscale.diffusion.schedule import karras
from veriscale.errors import InputError
from veriscale.latent.misfit import LatentMisfit, dps_length
from veriscale.latent.prior import LatentPrior
from veriscale.physics.data_term import DataTerm
from veriscale.physics.measurement_noise import ROUNDING, Noise
from veriscale.physics.operator import Operator, Shape
from veriscale.runtime.networks import UnconditionalDenoiser
from veriscale.traversal import anchor as anchors
from veriscale.traversal.dial import Dial
from veriscale.traversal.dps import dps
from veriscale.traversal.evaluations import Evaluations
from veriscale.traversal.method import Work
from veriscale.traversal.pilot import pilot
from veriscale.traversal.posterior import Proximal
from veriscale.traversal.presets import LATENT_DEFAULT, LatentPreset
from veriscale.traversal.renoise import renoise, renoised, unit_noise
from veriscale.traversal.start import PILOTS, WIDE
from veriscale.traversal.zero_shot import SAMPLER, STEPS

ANCHOR = "paper"
POSTERIORS = "dps", "gauss-newton"


@dataclass(frozen=True)
class Latent:
    """Both stages over latents, the measurement seen through the decoder: a `Method`.

    Attributes:
        prior: on its device, told what the picture shows.
        operator, noise: of the measurement; the operator bound to its grid.
        shape: of the measurement, (C, H, W).
        posterior: of `POSTERIORS`.
        knobs: settings of `paper` and `dps`.
        sampler, steps: of the second stage.
        rounding: standard deviation of the measurement's rounding, which its noise is at least.

    Source: LMAP-RPS (arXiv 2605.28711); `gauss-newton` is ours, docs/methods.md#latents.
    """

    prior: LatentPrior
    operator: Operator
    noise: Noise
    shape: Shape
    posterior: str = "dps"
    knobs: LatentPreset = LATENT_DEFAULT
    sampler: str = SAMPLER
    steps: int = STEPS
    rounding: float = ROUNDING

    name = "latent"
    scale = None
    anchor = ANCHOR
    pilots = 2, len(PILOTS)
    gradient = True

    @property
    def how(self) -> str:
        """A phrase that says how the prior is used."""
        return f"in its latents (anchor {self.anchor})"

    @property
    def path(self) -> str:
        """Of the prior's card."""
        return self.prior.mode(0).path

    @property
    def sigma_max(self) -> float:
        """The noise level at which a full draw starts: the prior's own, whose units are those of latents."""
        return self.prior.mode(0).sigma_max

    @property
    def first_evaluations(self) -> int:
        """Evaluations of the denoiser in the first stage."""
        return self.knobs.iterations

    @property
    def evaluations(self) -> int:
        """Evaluations of the denoiser in one draw."""
        return self.steps if self.posterior == "dps" else evaluations(self.sampler, self.steps)

    @property
    def settings(self) -> dict[str, Any]:
        """The knobs."""
        return asdict(self.knobs)

    @property
    def told(self) -> dict[str, Any]:
        """The prompt, where the prior takes one."""
        prompt = self.prior.prompt
        if self.prior.texts is None:
            return {}
        return {"prompt": prompt.text, "negative_prompt": prompt.negative, "guidance": prompt.guidance}

    @property
    def twice(self) -> bool:
        """Whether a gradient holds two evaluations of the network, since guidance asks it twice."""
        return self.posterior == "dps" and self.prior.guided

    def check_dial(self) -> None:
        """Every position can be reached."""

    def memory(self, pixels: int, channels: int, pictures: int, features: bool) -> int:
        """Bytes at the peak: pictures, and what the decoder and, for `dps`, the network keep for a gradient."""
        autoencoder = self.prior.autoencoder
        graph = self.prior.graph // autoencoder.factor**2 if self.posterior == "dps" else 0
        return pixels * (4 * channels * (pictures + 4) + autoencoder.graph + graph)

    def costs(self) -> tuple[str, str]:
        """Two phrases about the first stage and the memory."""
        whole = " The whole picture is one problem, which holds its decoder's gradient."
        return f"{self.first_evaluations} for the anchor, each with a gradient of the decoder", whole

    def begin(self, y: Tensor, copies: int, noise: Callable[[], NoiseField], work: Work) -> "LatentProblem":
        """The anchor; arguments as `Method.begin`."""
        return LatentProblem(self, DataTerm(self.operator, y, self.noise, self.rounding, copies), noise, work)


class LatentProblem:
    """A measurement whose anchor is found."""

    fell_back = False

    def __init__(self, method: Latent, data: DataTerm, noise: Callable[[], NoiseField], work: Work) -> None:
        self.method, self.work = method, work
        self.mode = method.prior.mode(0)
        network, evaluations = UnconditionalDenoiser(method.prior), Evaluations(work, method.first_evaluations)
        self._denoise, self._pullback = evaluations.counted(network), evaluations.counted(network.pullback)
        _, height, width = data.operator.truth_shape(tuple(data.y.shape[1:]))
        self.misfit = LatentMisfit(method.prior.autoencoder, data, method.prior.grid(height, width))
        self.latent = self._anchor(data.noise_std, noise())
        self.anchor = self.misfit.picture(self.latent)

    def draw(self, fields: Sequence[tuple[NoiseField, int]], start: float) -> Tensor:
        """Draws from `start`, (B, C, H, W), one per field."""
        method, mode, misfit = self.method, self.mode, self.misfit.of(len(fields))
        if method.posterior == "dps":
            x = renoised(self.latent, start, fields)
            sigmas = karras(start, min(mode.sigma_min, start / 2), method.steps)
            noise = partial(unit_noise, fields, "dps", shape=x.shape[1:])
            z = dps(self._pullback, misfit, x, sigmas, method.knobs.zeta, noise, length=dps_length)
        else:
            z = renoise(
                self.latent,
                Proximal(self._denoise, misfit, mode.sigma_data[0] ** 2),
                start,
                sigma_min=mode.sigma_min,
                sampler=method.sampler,
                steps=method.steps,
                variance=lambda s: mode.variance_at(s, 0.0),
                fields=fields,
            )
        return misfit.picture(z)

    def dial(self, full: Sequence[Tensor], partial: Callable[[float], Tensor] | None) -> Dial:
        """Learned from draws on this picture; without partial ones for the path `interpolate` alone."""
        if partial is None:
            return pilot(self.anchor, full, lambda start: full[0], (), self.method.sigma_max)
        # Of latents, which have unit variance: above WIDE nothing of them is left, wherever a full draw starts.
        starts = [min(self.method.sigma_max, WIDE) * share for share in PILOTS]
        return pilot(self.anchor, full, partial, starts, self.method.sigma_max)

    def predicted_error(self, threshold: Tensor) -> Tensor:
        """There is none."""
        raise InputError("The error predictor needs a measurement that the prior's encoder knows.")

    def _anchor(self, noise_std: float, field: NoiseField) -> Tensor:
        knobs, prior = self.method.knobs, self.method.prior
        sigma = prior.schedule.level(knobs.timestep)
        weight = knobs.weight
        if weight is None:
            weight = anchors.consistent_weight(noise_std, sigma, self.mode.sigma_data[0] ** 2)
        channels, factor = prior.autoencoder.channels, prior.autoencoder.factor
        shape = (channels, *(side // factor for side in self.misfit.grid))
        return anchors.paper(
            self._denoise,
            self.misfit,
            iterations=knobs.iterations,
            weight=weight,
            rate=knobs.rate,
            sigma=sigma,
            noise=partial(unit_noise, [(field, 0)], "anchor", shape=shape),
            plain=knobs.plain,
            tell=partial(self.work.tell, "anchor"),
        ).x
