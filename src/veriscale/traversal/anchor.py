"""The first stage without an encoder: an estimate of low distortion from a measurement and an unconditional prior."""

import math
from collections.abc import Callable
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from veriscale.diffusion.samplers import Denoiser
from veriscale.physics.data_term import DataTerm
from veriscale.traversal.misfit import Misfit
from veriscale.traversal.splitting import Splitting

FLIPS: tuple[tuple[int, ...], ...] = ((), (-1,), (-2,), (-2, -1))  # of the picture, one an evaluation in turn
GROWTH, WIDEST = 1.5, 3.0  # `fast` falls back where its two maps' gap is above both: over its least, over sigma

Tell = Callable[[int, int], None]
"""(evaluations done, of)."""


class Kept(Protocol):
    """Where a stage that takes long leaves its state, so that a run that was cut off goes on to the same bytes."""

    def taken(self, stage: str) -> dict[str, Tensor] | None:
        """What was left of a stage; None where nothing was."""

    def put(self, stage: str, state: dict[str, Tensor]) -> None:
        """Leave it, in the place of what was left before."""


class Anchor(NamedTuple):
    """What the first stage gives."""

    x: Tensor  # (B, C, H, W)
    fell_back: Tensor  # (B,) bool: whether `fast` left its splitting for the slower, safer one


def fast(
    denoise: Denoiser,
    data: DataTerm,
    way: Splitting,
    mean: Tensor,
    variance: float,
    tell: Tell = lambda done, of: None,
    noise: Callable[[int], Tensor] | None = None,
    kept: Kept | None = None,
    flipped: Callable[[tuple[int, ...]], Denoiser] | None = None,
) -> Anchor:
    """Alternate the proximal maps of data and prior by Peaceman–Rachford splitting with a decreasing shift.

    The prior's map is its denoiser: exactly for a Gaussian prior, D(v; σ) = argmin ½‖x − v‖² − σ² log p(x). Where the
    gap between the two maps grows above `GROWTH` times its least and `WIDEST` times σ, the item goes on by
    half-quadratic splitting, which contracts for any denoiser that does. (Half-way the gap is above σ with learned
    denoisers too, and closes again.) With `way.relaxation` below 1 the splitting itself contracts more, as the mean
    over two directions of a volume asks for.

    Args:
        denoise: the unconditional denoiser.
        data: the measurement; linear.
        way: of `splitting_for`.
        mean: (B, C, H, W), the prior's mean.
        variance: the prior's variance per pixel.
        tell: called after every level.
        noise: number of the level → unit noise in the shape of x, for a blind denoiser, which reads the level off its
            input: it sees v with noise of that level added, and taken away, and the mean of both answers counts.
        kept: where the state is left after every level, and taken from.
        flipped: axes → the denoiser of pictures flipped along them, of one that knows their places; itself by default.

    Source: ours, docs/methods.md#fast; Peaceman, Rachford 1955; Wachspress 1962; He, Liu, Wang, Yuan 2014.
    """
    sigmas, trust, last, relaxation = way
    left, taken = None if kept is None else kept.taken("anchor"), 0
    if left is None:
        x = data.prox(mean, math.sqrt(variance) / trust)
        h, p = x, torch.zeros_like(x)
        least = torch.full((len(x),), math.inf, dtype=x.dtype)
        fell_back = torch.zeros(len(x), dtype=torch.bool)
    else:
        taken = int(left["done"])
        h, x, p, least, fell_back = (left.pop(name) for name in ("h", "x", "p", "least", "fell_back"))
    for done, sigma in enumerate(sigmas, start=1):
        if done <= taken:
            continue
        r = sigma**-2
        h = data.prox(x - p / r, sigma / trust, h)  # weights of Poisson noise at h: the denoiser's x swings on the way
        q = relaxation * r * (x - h) - p
        safe = fell_back.view(-1, *[1] * (x.ndim - 1))
        v = torch.where(safe, h, h - q / r)
        turned = FLIPS[(done - 1) % len(FLIPS)]
        answer = denoise if flipped is None else flipped(turned)
        if noise is None or len(sigmas) == 1:
            x = answer(v.flip(turned), sigma).flip(turned)
        else:
            told = sigma * noise(done)
            answers = [answer((v + sign * told).flip(turned), sigma).flip(turned) for sign in (1, -1)]
            x = (answers[0] + answers[1]) / 2
        p = torch.where(safe, torch.zeros_like(p), relaxation * r * (h - x) - q)
        gap = (h - x).square().flatten(1).mean(1).sqrt()
        grown = (gap > GROWTH * least) & (gap > WIDEST * sigma)
        p[grown & ~fell_back] = 0  # the splitting variable of a way that is left
        fell_back |= grown
        least = torch.minimum(least, gap)
        if kept is not None:
            state = {"h": h, "x": x, "p": p, "least": least, "fell_back": fell_back, "done": torch.tensor(done)}
            kept.put("anchor", state)
        tell(done, len(sigmas))
    return Anchor(data.prox(x, last, x) if last else x, fell_back)


def paper(
    denoise: Denoiser,
    data: Misfit,
    *,
    iterations: int,
    weight: float,
    rate: float,
    sigma: float,
    noise: Callable[[int], Tensor],
    plain: bool = False,
    tell: Tell = lambda done, of: None,
) -> Anchor:
    """Minimise ‖y − A(x)‖² + w⟨stop[ε(x_t)], x⟩ with AdamW and a cosine decay, the iterate noised afresh each step.

    Args:
        denoise: the unconditional denoiser.
        data: the measurement, of any operator.
        iterations: one evaluation each.
        weight: w, for y on [0, 1]; `consistent_weight` by default of the callers.
        rate: of AdamW.
        sigma: noise level t₁ of the iterate.
        noise: iteration → unit noise in the shape of x.
        plain: whether it is the norm of the residual and not its square.
        tell: called after every evaluation.

    Source: MAP-RPS (arXiv 2605.28711), stage 1.
    """
    x = data.start().clone()
    x.grad = torch.zeros_like(x)
    optimizer = torch.optim.AdamW([x], lr=rate, weight_decay=0.0)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, iterations)
    for step in range(iterations):
        noisy = x + sigma * noise(step)
        epsilon = (noisy - denoise(noisy, sigma)) / sigma
        _, gradient = data.norm_gradient(x) if plain else data.gradient(x)
        x.grad = gradient + weight * epsilon
        optimizer.step()
        decay.step()
        tell(step + 1, iterations)
    return Anchor(x, torch.zeros(len(x), dtype=torch.bool))


def consistent_weight(noise_std: float, sigma: float, variance: float = 0.25) -> float:
    """w of `paper`, of the squared norm, at which its minimum is the most probable under a white Gaussian prior.

    Args:
        noise_std: s, of y on [0, 1].
        sigma: noise level t₁ of the iterate.
        variance: of the prior: ¼ of pictures, which is 1 on [−1, 1]; 1 of latents.

    Source: MAP-RPS, theorem 3.3: w = 2s²/√(ᾱ(1 − ᾱ)) with s on [−1, 1] and ᾱ = 1/(1 + 4σ²), halved for [0, 1].
    """
    return 2 * noise_std**2 * (1 + sigma**2 / variance) / sigma
