"""Other people's ways to restore a measurement, on the same denoiser and operators: what zero-shot rows are beside."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from veriscale.physics.data_term import DataTerm

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
