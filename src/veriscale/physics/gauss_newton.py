"""The proximal map of an operator that is not linear but smooth."""

from collections.abc import Callable

import torch
from torch import Tensor

from veriscale.physics.conjugate_gradient import conjugate_gradient

STEPS = 2  # each a linear problem
TOLERANCE = 1e-2  # of that problem, which is an approximation itself


def gauss_newton(
    forward: Callable[[Tensor], Tensor],
    v: Tensor,
    y: Tensor,
    rho: float,
    weight: Tensor | None = None,
    precondition: Callable[[Tensor], Tensor] = lambda r: r,
) -> Tensor:
    """About argmin over x of ½‖W^½(A(x) − y)‖² + ½ρ‖x − v‖², from v.

    Args:
        forward: A, differentiable.
        v: (B, C, …) on the truth grid.
        y: (B, C, …) on the measurement's.
        rho: positive.
        weight: W's diagonal; ones when None.
        precondition: r → about (JᵀWJ + ρ)⁻¹r.

    Source: Nocedal, Wright 2006, section 10.3.
    """
    w = 1.0 if weight is None else weight
    x = v
    for _ in range(STEPS):
        image, pull = torch.func.vjp(forward, x)[:2]

        def gram(u: Tensor, x: Tensor = x, pull: Callable[..., tuple[Tensor]] = pull) -> Tensor:
            return pull(w * torch.func.jvp(forward, (x,), (u,))[1])[0] + rho * u

        right = pull(w * (y - image))[0] + rho * (v - x)
        x = x + conjugate_gradient(gram, right, precondition, TOLERANCE)
    return x
