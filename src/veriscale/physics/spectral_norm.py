"""The norm of an operator known only by what it does."""

from collections.abc import Callable

import torch
from torch import Tensor

ITERATIONS = 300
TOLERANCE = 1e-9  # change of ‖A‖² over a few steps, relative; the error stays well below 1e-4


def spectral_norm(gram: Callable[[Tensor], Tensor], shape: tuple[int, ...], tolerance: float = TOLERANCE) -> float:
    """‖A‖, the root of the largest eigenvalue of AᵀA, by Lanczos without re-orthogonalisation, float64 on the CPU.

    Args:
        gram: x → AᵀAx.
        shape: of x without the batch; one channel is enough for an operator that treats all alike.
        tolerance: change of ‖A‖² over a few steps, relative, at which it is known.

    Source: Lanczos 1950; Paige 1971: losing orthogonality delays the largest eigenvalue but does not change it.
    """
    generator = torch.Generator().manual_seed(0)
    # most of the weight on the constant: what a blur amplifies most; some on everything else
    q = 1 + 0.5 * torch.randn(1, *shape, generator=generator, dtype=torch.float64)
    q = q / q.norm()
    before, beta = torch.zeros_like(q), 0.0
    diagonal: list[float] = []
    beside: list[float] = []
    past = [0.0] * 5
    for step in range(min(ITERATIONS, q.numel() + 4)):
        r = gram(q) - beta * before
        diagonal.append(float((r * q).sum()))
        r = r - diagonal[-1] * q
        beta = float(r.norm())
        largest = float(torch.linalg.eigvalsh(_tridiagonal(diagonal, beside))[-1])
        if beta <= 1e-12 * largest or (step > 8 and largest - past[-5] <= tolerance * largest):
            return float(max(largest, 0.0) ** 0.5)
        past.append(largest)
        beside.append(beta)
        before, q = q, r / beta
    return float(max(past[-1], 0.0) ** 0.5)


def _tridiagonal(diagonal: list[float], beside: list[float]) -> Tensor:
    off = torch.tensor(beside[: len(diagonal) - 1], dtype=torch.float64)
    return torch.diag(torch.tensor(diagonal, dtype=torch.float64)) + torch.diag(off, 1) + torch.diag(off, -1)
