"""Proximal maps of JPEG, alone and after an operator: a coefficient's error has the variance of its step, q²/12."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from veriscale.physics.conjugate_gradient import conjugate_gradient
from veriscale.physics.jpeg_blocks import TO_RGB, TO_YCC, blocks, mixed, pad, unblocks
from veriscale.physics.operator import LinearOperator

TOLERANCE = 1e-3  # of the conjugate gradients; five iterations
_OFFSET = 128 / 255  # of luma before its transform
_SPREAD = tuple(sum(row[k] ** 2 for row in TO_RGB) for k in range(3))  # ‖x‖² of a unit of luma, of either chroma


def jpeg_prox(v: Tensor, y: Tensor, rho: float, luma: Tensor, chroma: Tensor, std: float) -> Tensor:
    """argmin over x of ½Σ (12·std²/q²)·(c(x) − c(y))² + ½ρ‖x − v‖², c the codec's coefficients before their rounding.

    With ρ = std²/σ² that is the data term of errors with variance q²/12 in each coefficient. c(y) is rounded to whole
    steps: it is what the file held, of which the decoder's interpolation of chroma is undone first.

    Args:
        v: (B, C, H, W), C is 1 or 3.
        y: the same, the decoded file.
        rho: positive.
        luma, chroma: (8, 8), quantisation steps in 8-bit levels.
        std: of the measurement, in whose units rho is.

    Source: ours, docs/methods.md#physics; the variance of a uniform law.
    """
    height, width = v.shape[-2:]
    v, y = (pad(t, 8 if v.shape[1] == 1 else 16) for t in (v, y))
    q, qc = luma / 255, chroma / 255
    w, wc = 12 * std**2 / q**2, 12 * std**2 / qc**2
    if v.shape[1] == 1:
        seen, held = blocks(v - _OFFSET), (blocks(y - _OFFSET) / q).round() * q
        x = v + unblocks((held - seen) * (w / (w + rho)), v.shape)
        return x[..., :height, :width]

    def coefficients(x: Tensor) -> tuple[Tensor, Tensor]:
        ycc = mixed(TO_YCC, x)
        return blocks(ycc[:, :1]), blocks(functional.avg_pool2d(ycc[:, 1:], 2))

    def transposed(a: Tensor, b: Tensor) -> Tensor:
        size = v.shape[-2:]
        fine = unblocks(a, (len(a), 1, *size))
        coarse = unblocks(b, (len(b), 2, size[0] // 2, size[1] // 2))
        both = torch.cat([fine, functional.interpolate(coarse, scale_factor=2, mode="nearest") / 4], 1)
        return mixed(tuple(zip(*TO_YCC, strict=True)), both)

    def gram(u: Tensor) -> Tensor:
        a, b = coefficients(u)
        return transposed(w * a, wc * b) + rho * u

    def near_inverse(r: Tensor) -> Tensor:
        """As if luma and chroma were orthogonal: then every coefficient is divided by its own."""
        z = mixed(tuple(zip(*TO_RGB, strict=True)), r)
        fine = unblocks(blocks(z[:, :1]) / (w + rho * _SPREAD[0]), z[:, :1].shape)
        parts = [fine]
        for k in (1, 2):
            plane = z[:, k : k + 1]
            low = functional.avg_pool2d(plane, 2)
            solved = unblocks(blocks(low) / (wc / 4 + rho * _SPREAD[k]), low.shape)
            rest = plane - functional.interpolate(low, scale_factor=2, mode="nearest")
            parts.append(rest / (rho * _SPREAD[k]) + functional.interpolate(solved, scale_factor=2, mode="nearest"))
        return mixed(TO_RGB, torch.cat(parts, 1))

    ycc = mixed(TO_YCC, y)
    held = (blocks(ycc[:, :1] - _OFFSET) / q).round() * q + blocks(torch.full_like(y[:, :1], _OFFSET))
    held_chroma = (blocks(_coarse(ycc[:, 1:])) / qc).round() * qc
    a, b = coefficients(v)
    x = v + conjugate_gradient(gram, transposed(w * (held - a), wc * (held_chroma - b)), near_inverse, TOLERANCE)
    return x[..., :height, :width]


def compressed_prox(
    v: Tensor, y: Tensor, rho: float, luma: Tensor, chroma: Tensor, std: float, before: LinearOperator
) -> Tensor:
    """As `jpeg_prox` of what `before` makes of x: argmin over x of ½Σ (12·std²/q²)·(c(Ax) − c(y))² + ½ρ‖x − v‖²."""
    size = 8 if y.shape[1] == 1 else 16
    steps = (luma / 255,) if y.shape[1] == 1 else (luma / 255, chroma / 255)
    y = pad(y, size)
    ycc = y if y.shape[1] == 1 else mixed(TO_YCC, y)
    held = [(blocks(ycc[:, :1] - _OFFSET) / steps[0]).round() * steps[0] + blocks(torch.full_like(ycc[:, :1], _OFFSET))]
    if len(steps) == 2:
        held.append((blocks(_coarse(ycc[:, 1:])) / steps[1]).round() * steps[1])

    def scaled(parts: Sequence[Tensor]) -> Tensor:
        return torch.cat([(12**0.5 * std / q * c).flatten(1) for q, c in zip(steps, parts, strict=True)], 1)

    def seen(x: Tensor) -> Tensor:
        """(B, N): coefficients in units of their own error, times std."""
        z = pad(before.forward(x), size)
        if z.shape[1] == 1:
            return scaled([blocks(z)])
        z = mixed(TO_YCC, z)
        return scaled([blocks(z[:, :1]), blocks(functional.avg_pool2d(z[:, 1:], 2))])

    image, pull = torch.func.vjp(seen, v)[:2]
    one = torch.ones((), dtype=v.dtype)
    return v + conjugate_gradient(
        lambda u: pull(seen(u))[0] + rho * u,
        pull(scaled(held) - image)[0],
        lambda r: before.precondition(r, rho, one),
        TOLERANCE,
    )


def _coarse(chroma: Tensor) -> Tensor:
    """The planes that the decoder's triangle interpolation made `chroma` of, by a fixed point."""
    target = functional.avg_pool2d(chroma, 2)
    found = target
    for _ in range(4):
        fine = functional.interpolate(found, scale_factor=2, mode="bilinear")
        found = found + target - functional.avg_pool2d(fine, 2)
    return found
