"""Conjugate gradients for the proximal maps without a closed form."""

from collections.abc import Callable

import torch
from torch import Tensor

from veriscale.errors import InputError

TOLERANCE = 1e-6  # of the residual, relative to the right-hand side; never below what float32 can reach
GOOD_ENOUGH = 1e-3  # what a solve that runs out of iterations must have reached
ITERATIONS = 1000


def conjugate_gradient(
    apply: Callable[[Tensor], Tensor],
    b: Tensor,
    precondition: Callable[[Tensor], Tensor] = lambda r: r,
    tolerance: float = TOLERANCE,
    iterations: int = ITERATIONS,
    enough: float = GOOD_ENOUGH,
) -> Tensor:
    """Solve Mx = b for a symmetric positive M, each item of the batch by itself.

    Args:
        apply: x → Mx.
        b: (B, …).
        precondition: r → about M⁻¹r, symmetric and positive.
        tolerance: relative residual at which an item is done.
        iterations: at most.
        enough: relative residual that a solve which runs out of iterations must have reached.

    Raises:
        InputError: an item's relative residual is still above `enough` at the end.

    Source: Hestenes, Stiefel 1952; Saad 2003, algorithm 9.1.
    """
    x = torch.zeros_like(b)
    r = b
    z = precondition(r)
    p = z
    rz = _dot(r, z)
    target = _dot(b, b).sqrt()
    left = torch.ones_like(target)
    for _ in range(iterations):
        q = apply(p)
        curvature = _dot(p, q)
        step = torch.where(curvature > 0, rz / curvature, 0)  # an item that is done stays where it is
        x = x + step * p
        r = r - step * q
        left = torch.where(target > 0, _dot(r, r).sqrt() / target, 0)
        if float(left.max()) <= tolerance:
            return x
        z = precondition(r)
        rz, before = _dot(r, z), rz
        p = z + torch.where(before > 0, rz / before, 0) * p
    reached = float(left.max())
    if not reached <= enough:
        raise InputError(
            f"The fit to the measurement did not converge: after {iterations} iterations the residual is still "
            f"{reached:.1g} of what it was; state more noise (`--noise`), or a smoother kernel."
        )
    return x


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """Inner product per item, (B, 1, …)."""
    return (a * b).flatten(1).sum(1).view(-1, *[1] * (a.ndim - 1))
