"""Samplers: from a picture at noise level sigmas[0] to a draw, or to the end of a re-noised picture.

Variance exploding throughout: x_σ = x₀ + σn. A sampler starts from any σ and any picture.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from math import log

from torch import Tensor

from veriscale.diffusion.card import Mode
from veriscale.errors import InputError, closest

Denoiser = Callable[[Tensor, float], Tensor]
"""(x, σ) → E[x₀ | x_σ = x], the shape of x."""

Variance = Callable[[float], float | Tensor]
"""σ → Var[x₀ | x_σ] per pixel: one number, or a tensor that broadcasts against x."""

NoiseSource = Callable[[int], Tensor]
"""step → unit noise in the shape of x."""


def heun(denoise: Denoiser, x: Tensor, sigmas: Tensor) -> Tensor:
    """Follow the probability flow with Heun's second-order steps, without churn.

    Args:
        denoise: (x, σ) → E[x₀ | x_σ].
        x: (B, C, H, W) start at sigmas[0].
        sigmas: (N + 1,) decreasing, last 0.

    Source: Karras et al. 2022, algorithm 1 (S_churn = 0).
    """
    for s, t in pairwise(sigmas.tolist()):
        denoised = denoise(x, s)
        if t == 0:
            return denoised  # Euler's step to 0 lands on the denoiser's mean; said so, it costs no rounding
        slope = (x - denoised) / s
        ahead = x + (t - s) * slope
        slope_ahead = (ahead - denoise(ahead, t)) / t
        x = x + (t - s) * (slope + slope_ahead) / 2
    return x


def dpm_solver_pp(denoise: Denoiser, x: Tensor, sigmas: Tensor) -> Tensor:
    """Follow the probability flow with DPM-Solver++(2M): one evaluation a step, second order by the step before.

    Args: as `heun`.

    Source: Lu et al. 2022 (DPM-Solver++), algorithm 2, with α = 1 and λ = −log σ.
    """
    before: Tensor | None = None
    step_before = 0.0
    for s, t in pairwise(sigmas.tolist()):
        denoised = denoise(x, s)
        if t == 0:
            return denoised  # the step in λ is infinite: extrapolating over it would diverge, first order is the mean
        step = log(s / t)
        if before is None:
            target = denoised
        else:
            share = step / (2 * step_before)  # 1/(2r) of the paper
            target = (1 + share) * denoised - share * before
        x = (t / s) * x + (1 - t / s) * target
        before, step_before = denoised, step
    return x


def ancestral(denoise: Denoiser, x: Tensor, sigmas: Tensor, variance: Variance, noise: NoiseSource) -> Tensor:
    """Sample by the reverse Markov chain of the variance-exploding process.

    Args:
        denoise: (x, σ) → E[x₀ | x_σ].
        x: (B, C, H, W) start at sigmas[0].
        sigmas: (N + 1,) decreasing, last 0.
        variance: σ → Var[x₀ | x_σ] per pixel. One number is exact for white covariance only; a Gaussian oracle
            in its mode basis (`Gaussian.in_modes`) gives a tensor and is exact for any.
        noise: draws the unit noise of a step.

    Source: Ho et al. 2020, eq. 7, with the variance of Bao et al. 2022, eq. 7; exact for Gaussians at any step count.
    """
    for step, (s, t) in enumerate(pairwise(sigmas.tolist())):
        k = (t / s) ** 2
        x = k * x + (1 - k) * denoise(x, s)
        if t > 0:  # the last step returns the mean: noise there would only add distortion
            x = x + (t**2 * (1 - k) + (1 - k) ** 2 * variance(s)) ** 0.5 * noise(step)
    return x


@dataclass(frozen=True)
class Sampler:
    """How to run a sampler by name, and what it costs."""

    run: Callable[[Denoiser, Tensor, Tensor, Variance, NoiseSource], Tensor]
    evaluations: Callable[[int], int]
    """Steps → network evaluations."""
    needs_variance: bool = False


SAMPLERS: dict[str, Sampler] = {
    "heun": Sampler(
        run=lambda denoise, x, sigmas, variance, noise: heun(denoise, x, sigmas),
        evaluations=lambda steps: 2 * steps - 1,
    ),
    "dpm-solver++": Sampler(
        run=lambda denoise, x, sigmas, variance, noise: dpm_solver_pp(denoise, x, sigmas),
        evaluations=lambda steps: steps,
    ),
    "ancestral": Sampler(run=ancestral, evaluations=lambda steps: steps, needs_variance=True),
}


def sample(name: str, denoise: Denoiser, x: Tensor, sigmas: Tensor, variance: Variance, noise: NoiseSource) -> Tensor:
    """Run the sampler called `name`; the flow samplers ask for neither variance nor noise.

    Raises:
        InputError: no sampler has that name.
    """
    return sampler(name).run(denoise, x, sigmas, variance, noise)


def evaluations(name: str, steps: int) -> int:
    """Network evaluations of `steps` steps, for estimates of time and for equal budgets.

    Raises:
        InputError: no sampler has that name.
    """
    return sampler(name).evaluations(steps)


def sampler(name: str) -> Sampler:
    """The registry's entry for `name`.

    Raises:
        InputError: no sampler has that name.
    """
    if name not in SAMPLERS:
        raise InputError(f"no sampler is called {name!r}; {closest(name, SAMPLERS)}")
    return SAMPLERS[name]


def check_variance(name: str, mode: Mode, prior: str) -> None:
    """Raise `InputError` where a sampler asks for a variance that nobody measured of this mode of a prior."""
    if sampler(name).needs_variance and not mode.sigma:
        raise InputError(
            f"The sampler {name!r} needs v(sigma), which is not on the card of prior {prior!r}: "
            "veriscale.measure_prior measures it of your own denoiser, training with measure = 'all' of a trained "
            "prior; or choose `--sampler` heun."
        )
