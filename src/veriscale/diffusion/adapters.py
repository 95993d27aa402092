"""Networks of other parametrisations as variance-exploding denoisers D(x, σ) = E[x₀ | x₀ + σn = x].

The networks keep their own range and time; `in_symmetric_range` brings one that lives on [−1, 1] to [0, 1].
"""

from collections.abc import Callable

import torch
from torch import Tensor

from veriscale.diffusion.samplers import Denoiser
from veriscale.errors import InputError

Network = Callable[[Tensor, Tensor], Tensor]
"""(x_t, t) → prediction in the shape of x_t; t is (B,): DDPM's timestep from 0, or flow matching's time in [0, 1]."""


def ddpm_linear(steps: int = 1000, first: float = 1e-4, last: float = 0.02) -> Tensor:
    """ᾱ of DDPM's linear schedule: (steps,) float64. Source: Ho et al. 2020, section 4."""
    return torch.cumprod(1 - torch.linspace(first, last, steps, dtype=torch.float64), dim=0)


def ddpm_cosine(steps: int = 1000, offset: float = 0.008) -> Tensor:
    """ᾱ of the cosine schedule, each β at most 0.999: (steps,) float64. Source: Nichol & Dhariwal 2021, eq. 17."""
    time = torch.linspace(0, 1, steps + 1, dtype=torch.float64)
    curve = torch.cos((time + offset) / (1 + offset) * torch.pi / 2) ** 2
    betas = (1 - curve[1:] / curve[:-1]).clamp(max=0.999)
    return torch.cumprod(1 - betas, dim=0)


def sigmas_of(alphas_bar: Tensor) -> Tensor:
    """σ of every DDPM timestep, x_t/√ᾱ = x₀ + σn: √((1 − ᾱ)/ᾱ), increasing."""
    return ((1 - alphas_bar) / alphas_bar).sqrt()


def timestep_of(sigma: float, alphas_bar: Tensor) -> float:
    """The DDPM timestep whose noise level is σ, linear in log σ between two; below the first, the first.

    Raises:
        InputError: σ is above the last timestep's.
    """
    levels = sigmas_of(alphas_bar.double()).log()
    wanted = torch.tensor(sigma, dtype=torch.float64).log()
    if wanted > levels[-1] + 1e-9:
        raise InputError(
            f"this network knows noise up to σ = {levels[-1].exp().item():.4g}, not {sigma:.4g}: start lower"
        )
    above = int(torch.searchsorted(levels, wanted).clamp(1, len(levels) - 1))
    share = (wanted - levels[above - 1]) / (levels[above] - levels[above - 1])
    return above - 1 + share.clamp(0, 1).item()


def from_epsilon(network: Network, alphas_bar: Tensor, quantize: bool = False) -> Denoiser:
    """Adapt a network that predicts the noise of x_t = √ᾱ x₀ + √(1 − ᾱ) ε.

    Args:
        network: (x_t, t) → ε.
        alphas_bar: (T,) decreasing.
        quantize: ask for whole timesteps only, the nearest one; else t lies between two.

    Source: Ho et al. 2020, eq. 15, with x = x_t/√ᾱ.
    """

    def denoise(x: Tensor, sigma: float) -> Tensor:
        scale = _signal(sigma)
        return x - sigma * network(scale * x, _times(x, sigma, alphas_bar, quantize))

    return denoise


def from_v(network: Network, alphas_bar: Tensor, quantize: bool = False) -> Denoiser:
    """Adapt a network that predicts v = √ᾱ ε − √(1 − ᾱ) x₀.

    Args: as `from_epsilon`. Source: Salimans & Ho 2022, appendix D.
    """

    def denoise(x: Tensor, sigma: float) -> Tensor:
        scale = _signal(sigma)
        noisy = scale * x
        return scale * noisy - scale * sigma * network(noisy, _times(x, sigma, alphas_bar, quantize))

    return denoise


def from_x0(network: Network, alphas_bar: Tensor, quantize: bool = False) -> Denoiser:
    """Adapt a network that predicts x₀ from x_t = √ᾱ x₀ + √(1 − ᾱ) ε.

    Args: as `from_epsilon`.
    """

    def denoise(x: Tensor, sigma: float) -> Tensor:
        return network(_signal(sigma) * x, _times(x, sigma, alphas_bar, quantize))

    return denoise


def from_flow(network: Network) -> Denoiser:
    """Adapt a rectified flow: a network that predicts n − x₀ from x_t = (1 − t) x₀ + t n.

    Since x_t/(1 − t) = x₀ + t/(1 − t) n, the time of σ is σ/(1 + σ).

    Source: Liu et al. 2022 (Flow straight and fast), eq. 1, with noise at t = 1; Lipman et al. 2022.
    """

    def denoise(x: Tensor, sigma: float) -> Tensor:
        time = sigma / (1 + sigma)
        noisy = (1 - time) * x
        return noisy - time * network(noisy, _filled(x, time))

    return denoise


def in_symmetric_range(denoise: Denoiser) -> Denoiser:
    """Bring a denoiser of pictures in [−1, 1] to [0, 1]: D(x, σ) = ½(D̃(2x − 1, 2σ) + 1).

    Source: docs/methods.md#units.
    """
    return lambda x, sigma: (denoise(2 * x - 1, 2 * sigma) + 1) / 2


def _signal(sigma: float) -> float:
    """√ᾱ at σ, from σ itself: exact between timesteps too."""
    return float((1 + sigma**2) ** -0.5)


def _times(x: Tensor, sigma: float, alphas_bar: Tensor, quantize: bool) -> Tensor:
    time = timestep_of(sigma, alphas_bar)
    return torch.full((x.shape[0],), round(time), device=x.device) if quantize else _filled(x, time)


def _filled(x: Tensor, time: float) -> Tensor:
    # half precision cannot tell timestep 998 from 999
    dtype = torch.float64 if x.dtype == torch.float64 else torch.float32
    return torch.full((x.shape[0],), time, device=x.device, dtype=dtype)
