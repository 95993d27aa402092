"""What a scheduler's configuration says of the noise that a network was trained with."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from veriscale.diffusion.adapters import Network, from_epsilon, from_flow, from_v, from_x0, sigmas_of
from veriscale.diffusion.samplers import Denoiser
from veriscale.errors import InputError
from veriscale.latent.packages import quiet

SCHEDULERS = (
    "DDPMScheduler",
    "DDIMScheduler",
    "PNDMScheduler",
    "LMSDiscreteScheduler",
    "EulerDiscreteScheduler",
    "EulerAncestralDiscreteScheduler",
    "HeunDiscreteScheduler",
    "DPMSolverMultistepScheduler",
    "DPMSolverSinglestepScheduler",
    "UniPCMultistepScheduler",
    "DEISMultistepScheduler",
    "FlowMatchEulerDiscreteScheduler",
)
PREDICTS = {"epsilon": "epsilon", "v_prediction": "v", "sample": "x0"}
"""Their names of what a network predicts, and those of `prior_from`."""

SILENT = 1e-7
"""ᾱ at which nothing of a picture is left, as at the last timestep of schedules with zero terminal SNR."""

LARGEST = 80.0
"""Above it latents of unit variance are noise: where a schedule ends without signal, or at 1000, draws begin here."""


@dataclass(frozen=True)
class Schedule:
    """Of a trained network.

    Attributes:
        predicts: as of `prior_from`: "x0", "epsilon", "v" or "flow".
        alphas_bar: (T,) float64, decreasing, those without signal left out; None for a flow.
        timesteps: of the training; what a flow's time is told in.
        shift: of a flow's timesteps, towards noise.
    """

    predicts: str
    alphas_bar: Tensor | None
    timesteps: int
    shift: float = 1.0

    def level(self, timestep: int) -> float:
        """The noise level σ of a timestep of 1000, of x_t/√ᾱ, or x_t/(1 − t) of a flow."""
        if self.alphas_bar is not None:
            last = len(self.alphas_bar) - 1
            return float(sigmas_of(self.alphas_bar)[min(last, round(timestep * self.timesteps / 1000))])
        time = timestep / 1000
        time = self.shift * time / (1 + (self.shift - 1) * time)
        return time / (1 - time)

    @property
    def sigmas(self) -> tuple[float, float]:
        """The least and the largest level of latents."""
        if self.alphas_bar is not None:
            levels = sigmas_of(self.alphas_bar)
            return float(levels[0]), min(LARGEST, float(levels[-1]))
        return 1 / self.timesteps, min(LARGEST, self.timesteps - 1.0)

    def denoiser(self, network: Network) -> Denoiser:
        """The network as (x, σ) → E[x₀ | x₀ + σn = x]; it is told timesteps, as in its training."""
        if self.alphas_bar is None:
            return from_flow(lambda x, t: network(x, t * self.timesteps))
        adapters: dict[str, Callable[[Network, Tensor], Denoiser]] = {
            "x0": from_x0,
            "epsilon": from_epsilon,
            "v": from_v,
        }
        return adapters[self.predicts](network, self.alphas_bar)


def schedule_of(kind: str, config: dict[str, Any], where: str) -> Schedule:
    """The schedule of a scheduler.

    Args:
        kind: its class.
        config: its configuration.
        where: whose it is, for people.

    Raises:
        InputError: its class, its prediction type, its kind of timesteps or its betas are unknown.
    """
    if kind not in SCHEDULERS:
        raise InputError(f"{where} has a {kind}, which is not supported; supported: {', '.join(SCHEDULERS)}.")
    if config.get("timestep_type", "discrete") != "discrete":
        raise InputError(
            f"{where} tells its network {config['timestep_type']!r} timesteps, which is not supported; supported: "
            "discrete ones."
        )
    flow = kind.startswith("FlowMatch")
    predicts = config.get("prediction_type", "epsilon")
    if not flow and predicts not in list(PREDICTS):  # whatever type a file says it in
        known = ", ".join(PREDICTS)
        raise InputError(
            f"{where} predicts {predicts!r}, which is not supported; supported: {known}, and flow matching."
        )
    try:
        with quiet("diffusers") as diffusers:
            made = getattr(diffusers, kind).from_config(config)
        steps = int(made.config.num_train_timesteps)
        if flow:
            return Schedule("flow", None, steps, float(made.config.shift))
        alphas_bar = made.alphas_cumprod.double()
    except (NotImplementedError, ValueError, TypeError, RuntimeError) as error:
        raise InputError(f"The noise schedule of {where} cannot be made: {error}.") from error
    alphas_bar = alphas_bar[alphas_bar > SILENT]
    if len(alphas_bar) < 2 or not bool((alphas_bar.diff() < 0).all()) or float(alphas_bar[0]) >= 1:
        raise InputError(f"The noise schedule of {where} does not go from little noise to much.")
    return Schedule(PREDICTS[predicts], alphas_bar, steps)
