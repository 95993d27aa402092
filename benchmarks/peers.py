"""Other people's ways to restore a measurement, on the same denoiser and operators: what our rows are beside."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from veriscale.physics.data_term import DataTerm
from veriscale.traversal.misfit import Misfit

Denoiser = Callable[[Tensor, float], Tensor]


def total_variation(data: DataTerm, weight: float, iterations: int = 200) -> Tensor:
    """argmin ½‖Ax − y‖² + weight·TV(x), isotropic and per channel, by primal and dual steps.

    A picture moves by at most 4·τ·weight an iteration: with equal steps holes stay open for thousands of them where
    the weight is small. τ = 0.01/weight is within 0.1 dB of four times the iterations at every weight that was tried.

    Source: Rudin, Osher, Fatemi 1992; Chambolle, Pock 2011, algorithm 1 with θ = 1 and στ‖∇‖² ≤ 1.
    """
    tau = 0.01 / weight
    dual_step = 1 / (8 * tau)
    x = data.start().clamp(0, 1)
    ahead, p = x, torch.zeros(*x.shape, 2)
    for _ in range(iterations):
        p = p + dual_step * _gradient(ahead)
        p = p / (p.norm(dim=-1, keepdim=True) / weight).clamp(min=1)
        before = x
        # The proximal map of ½τ‖Ax − y‖²: σ² = τ·s² makes ‖Ax − y‖²/(2s²) + ‖x − v‖²/(2σ²) of it.
        x = data.prox(x + tau * _divergence(p), data.noise_std * tau**0.5)
        ahead = 2 * x - before
    return x


def half_quadratic(denoise: Denoiser, data: DataTerm, sigmas: Sequence[float], start: Tensor) -> Tensor:
    """Half-quadratic splitting: the data's proximal map and the denoiser in turn.

    Source: Zhang et al. 2021 (DPIR), eq. 6.
    """
    x = start
    for sigma in sigmas:
        x = denoise(data.prox(x, sigma), sigma)
    return x


def diffpir(
    denoise: Denoiser, data: DataTerm, x: Tensor, sigmas: Tensor, scale: float, zeta: float, noise: Callable
) -> Tensor:
    """The sampler of DiffPIR: the proximal map of the denoised picture with ρ = λs²/σ², then noise, part of it fresh.

    Args:
        denoise: the unconditional denoiser.
        data: the measurement.
        x: start at sigmas[0].
        sigmas: decreasing, the last 0.
        scale: λ.
        zeta: share of fresh noise, in variance.
        noise: step → unit noise.

    Source: Zhu et al. 2023, algorithm 1.
    """
    for step, (s, t) in enumerate(pairwise(sigmas.tolist())):
        clean = data.prox(denoise(x, s), s / scale**0.5)
        effective = (x - clean) / s
        x = clean + t * ((1 - zeta) ** 0.5 * effective + zeta**0.5 * noise(step))
    return x


def resample(
    denoise: Denoiser,
    data: Misfit,
    x: Tensor,
    sigmas: Tensor,
    gamma: float,
    rate: float,
    noise: Callable,
    enough: Tensor,
    iterations: int,
    every: int = 10,
) -> Tensor:
    """The sampler of ReSample: steps of DDIM, and now and then latents that fit the measurement, resampled about.

    Args:
        denoise: of latents.
        data: the measurement, through the decoder.
        x: start at sigmas[0].
        sigmas: decreasing, the last 0.
        gamma: how far what fits is trusted over where the chain is.
        rate: of Adam, which makes it fit.
        noise: step → unit noise.
        enough: (B,) squared norm of the residual at which latents fit: that of the noise.
        iterations: of Adam at most.
        every: steps from one to the next.

    Source: Song et al. 2024 (ReSample), algorithm 1 and eq. 15 to 17, in z_σ = z_t/√ᾱ.
    """
    steps = len(sigmas) - 1
    for step, (s, t) in enumerate(pairwise(sigmas.tolist())):
        clean = denoise(x, s)
        x = clean + t * (x - clean) / s
        if (steps - 1 - step) % every:
            continue
        fitting = _fitting(data, clean, rate, enough, iterations)
        if t == 0:
            return fitting
        bar, before = 1 / (1 + t**2), 1 / (1 + float(sigmas[step + 2]) ** 2)
        share = gamma * (1 - before) / bar * (1 - bar / before)
        mean = (share * fitting + (1 - bar) * x) / (share + 1 - bar)
        x = mean + (share * (1 - bar) / (share + 1 - bar) / bar) ** 0.5 * noise(step)
    return x


def _fitting(data: Misfit, z: Tensor, rate: float, enough: Tensor, iterations: int) -> Tensor:
    z = z.clone()
    z.grad = torch.zeros_like(z)
    optimizer = torch.optim.Adam([z], lr=rate)
    for _ in range(iterations):
        square, gradient = data.gradient(z)
        if bool((square <= enough).all()):
            break
        z.grad = gradient * (square > enough).view(-1, 1, 1, 1)
        optimizer.step()
    return z


def _gradient(x: Tensor) -> Tensor:
    rows = torch.zeros_like(x)
    columns = torch.zeros_like(x)
    rows[..., :-1, :] = x[..., 1:, :] - x[..., :-1, :]
    columns[..., :-1] = x[..., 1:] - x[..., :-1]
    return torch.stack([rows, columns], -1)


def _divergence(p: Tensor) -> Tensor:
    """The negative transpose of `_gradient`."""
    rows, columns = p[..., :-1, :, 0], p[..., :-1, 1]
    out = torch.zeros_like(p[..., 0])
    out[..., :-1, :] += rows
    out[..., 1:, :] -= rows
    out[..., :-1] += columns
    out[..., 1:] -= columns
    return out
