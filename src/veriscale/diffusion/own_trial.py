"""Trying somebody's own denoiser on plain pictures before it is believed."""

from collections.abc import Callable

import torch
from torch import Tensor

from veriscale.diffusion.prior import Prior
from veriscale.diffusion.samplers import Denoiser
from veriscale.errors import InputError

ALIKE = 1e-3  # RMS within which two answers are one, but for rounding, which has no more in float32

Function = Callable[[Tensor, Tensor], Tensor]
"""(x, sigma) or (x_t, t) → what it predicts; the second argument is (B,)."""

PROBE, SIDE = (0.05, 0.5), 64  # noise levels and side of the picture that every new function is tried on
FAR = 1.0  # RMS from the truth at which an answer is none
TONES, TONED = (0.05, 0.95), 0.2  # of plain pictures, dark and light, and their noise level
UNLIKE = 3.0  # times that an answer may be farther off in the one than in the other: honest networks stay below 1.3


@torch.no_grad()
def tried(prior: Prior, function: Function, wrapped: Callable[[Function], Denoiser]) -> tuple[tuple[str, ...], bool]:
    """What plain pictures tell of a denoiser, a sentence each, and whether it is blind.

    Args:
        prior: made of the function.
        function: of somebody's.
        wrapped: makes it (x, sigma) → E[x0 | x0 + sigma·n = x].

    Raises:
        InputError: an answer is not finite, is no picture, or is another one the next time.
    """
    mode = prior.mode(0)
    x, noise, (low, high) = _probe(prior)
    left = {}
    for level in (low, high):
        noisy = x + level * noise
        answer = prior.denoise(noisy, level)
        left[level] = off = _rms(answer - x)
        if off > FAR:
            raise InputError(
                f"The denoiser's answer to a picture with noise {level:.2g} is off by {off:.2g} (root mean square), "
                "far outside of [0, 1]; look at `range`, `predicts` and `alphas_bar`."
            )
        if (apart := _rms(prior.denoise(noisy, level) - answer)) > _rounding(prior):
            raise InputError(
                f"The denoiser answers one picture with two that are {apart:.2g} apart (root mean square), so that no "
                "result could be repeated; call `eval()` of its network, or leave out what it draws."
            )
    notes = []
    if left[high] > high:
        notes.append(f"It leaves more than noise {high:.2g} of noise {high:.2g}: is it told what it expects")
    level = min(max(TONED, mode.sigma_min), mode.sigma_max)
    dark, light = (_off(prior, torch.full_like(x, tone), level, noise) for tone in TONES)
    if max(dark, light) > max(UNLIKE * min(dark, light), level / 4):
        notes.append(
            f"It is off by {dark:.2g} in plain dark pictures with noise {level:.2g} and by {light:.2g} in light ones: "
            "is its `range` the one that was stated"
        )
    blind = _is_blind(function, wrapped, x.to(prior.dtype), noise.to(prior.dtype), (low, high))
    if blind:
        notes.append(
            "It takes no noise level and judges it by the picture, so that it cannot be told how far to trust one: "
            "where little noise is left, and where the input is no picture with white noise, it may judge wrong"
        )
    return tuple(notes), blind


@torch.no_grad()
def takes_batches(prior: Prior) -> bool:
    """Whether two pictures at once have the answers that each has by itself."""
    x, noise, (_, level) = _probe(prior)
    both = torch.cat([x + level * noise, x.flip(-1) + level * noise.flip(-2)])
    single = torch.cat([prior.denoise(picture[None], level) for picture in both])
    try:
        return _rms(prior.denoise(both, level) - single) <= _rounding(prior)
    except InputError:  # fails, or has another shape
        return False


def _probe(prior: Prior) -> tuple[Tensor, Tensor, tuple[float, float]]:
    """A plain picture and unit noise, (1, C, H, W), and a low and a high level of those that the prior knows."""
    mode = prior.mode(0)
    side = -(-SIDE // prior.stride) * prior.stride
    ramp = torch.linspace(0.2, 0.8, side)
    x = (ramp[:, None] + ramp[None, :]).mul(0.5).expand(1, prior.card.network.channels, side, side).to(prior.device)
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0)).to(prior.device)
    low, high = (min(max(s, mode.sigma_min), mode.sigma_max) for s in PROBE)
    return x, noise, (low, high) if low < high else (mode.sigma_min, mode.sigma_max)


def _rms(x: Tensor) -> float:
    return float(x.square().mean().sqrt())


def _rounding(prior: Prior) -> float:
    """How far apart (root mean square) two answers may be that are one."""
    return max(ALIKE, torch.finfo(prior.dtype).eps)


def _off(prior: Prior, x: Tensor, level: float, noise: Tensor) -> float:
    """Root mean square by which an answer is off."""
    return _rms(prior.denoise(x + level * noise, level) - x)


def _is_blind(
    function: Function, wrapped: Callable[[Function], Denoiser], x: Tensor, noise: Tensor, levels: tuple[float, float]
) -> bool:
    """Whether one input has one answer, whatever level or time goes with it."""
    asked = list[tuple[Tensor, Tensor, Tensor]]()

    def heard(x: Tensor, t: Tensor) -> Tensor:
        asked.append((x, t, function(x, t)))
        return asked[-1][-1]

    denoise = wrapped(heard)
    for level in levels:
        denoise(x + level * noise, level)
    (seen, _, answer), (_, other, _) = asked
    return torch.equal(function(seen, other), answer)
