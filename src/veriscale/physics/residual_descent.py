"""Least residuals over Krylov spaces, for systems that are not symmetric."""

from collections.abc import Callable

import torch
from torch import Tensor

CHECK = 4  # iterations from one solution of the small problem to the next


def minimal_residual(
    apply: Callable[[Tensor], Tensor], b: Tensor, tolerance: float, iterations: int
) -> tuple[Tensor, float]:
    """GMRES: of all combinations of b, Mb, M²b, … the one with the least ‖Mx − b‖, each item of the batch by itself.

    Unlike conjugate gradients it needs no symmetry, and its residual never grows.

    Args:
        apply: x → Mx, linear.
        b: (B, …).
        tolerance: relative residual at which all items are done.
        iterations: at most; as many vectors are kept.

    Returns:
        x, and the largest relative residual.

    Source: Saad, Schultz 1986.
    """
    shape, flat = b.shape, b.flatten(1)
    norm = flat.norm(dim=1, keepdim=True)
    safe = norm.clamp(min=torch.finfo(b.dtype).tiny)
    basis = [flat / safe]
    columns: list[Tensor] = []
    x, left = torch.zeros_like(b), 1.0
    for k in range(1, iterations + 1):
        w = apply(basis[-1].view(shape)).flatten(1)
        entries = []
        for v in basis:  # modified Gram–Schmidt
            entries.append((w * v).sum(1))
            w = w - entries[-1][:, None] * v
        entries.append(w.norm(dim=1))
        columns.append(torch.stack(entries, 1))
        basis.append(w / entries[-1].clamp(min=torch.finfo(b.dtype).tiny)[:, None])
        if k % CHECK and k < iterations:
            continue
        hessenberg = torch.zeros(len(b), k + 1, k, dtype=torch.float64)
        for j, column in enumerate(columns):
            hessenberg[:, : j + 2, j] = column.double().cpu()
        target = torch.zeros(len(b), k + 1, 1, dtype=torch.float64)
        target[:, 0, 0] = 1
        y = torch.linalg.lstsq(hessenberg, target, driver="gelsd").solution
        left = float((hessenberg @ y - target).norm(dim=1).max())
        if left <= tolerance or k == iterations:
            weights = y[..., 0].to(flat)
            x = (norm * torch.einsum("bk,kbn->bn", weights, torch.stack(basis[:k]))).view(shape)
            break
    return x, left
