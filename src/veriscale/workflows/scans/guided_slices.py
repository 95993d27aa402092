"""Pictures of a guided restoration, asked at several noise levels what each guide counts for and says."""

import math
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from veriscale.diffusion.card import Mode
from veriscale.guides.answers import Answer, correction_answer, denoiser_answer, encoder_answer
from veriscale.guides.guided_prior import GuidedPrior
from veriscale.imaging.tiles import Window
from veriscale.imaging.volume import Volume
from veriscale.traversal.conditional import Conditional
from veriscale.traversal.zero_shot import ZeroShot
from veriscale.workflows.scans.in_plane import PreparedSlices, slices_of
from veriscale.workflows.scans.through_plane import PreparedThrough

LEVELS = (4.0, 1.0, 0.25)  # noise levels over sigma_data
_SIDE = 512  # pixels, about the middle

Array = NDArray[np.float32]


class Asked(NamedTuple):
    """One answer, over the pixels (H, W) of a window."""

    place: int  # of the picture, along the axis it lies across
    level: float  # of `LEVELS`; infinite of the mean, and of a correction
    sigma: float  # likewise
    window: Window
    picture: Array  # (H, W), without noise
    answer: Answer


def answers(
    work: PreparedSlices | PreparedThrough, image: Volume, axis: int, places: Sequence[int], restored: bool = False
) -> Iterator[Asked]:
    """Of pictures across an axis; at σ = ∞ where the encoder makes the mean, then at `LEVELS`.

    Args:
        work: of a scan with guides.
        image: (X, Y, Z), a result or the truth on the result's grid, in its levels: what noise is added to.
        axis: 0 to 2; of slices theirs.
        places: along it; none are taken of pictures that the networks cannot take whole.
        restored: whether the image is a result. Where guides have corrected the anchor through the plane, they are then
            asked first, at σ = ∞ too, what they would make of that, since what they were given is not kept; what the
            gate finds there the denoiser's is told of, as draws are of what it finds in the anchor.
    """
    prior = work.prior
    if not isinstance(prior, GuidedPrior):
        raise RuntimeError("asked only of guided work")
    method = work.middle.plan.method if isinstance(work, PreparedSlices) else work.method
    scale = method.scale if isinstance(method, Conditional) else 0
    noise_std = method.noise_std if isinstance(method, Conditional) else 0.0
    mode, multiple, channels = prior.mode(scale), math.lcm(prior.stride, scale or 1), prior.card.network.channels
    rows, columns = (_middle(n, multiple) for n in np.delete(image.shape, axis).tolist())
    window = rows, columns
    for k in places if rows.stop and columns.stop else ():
        own = prior.rearranged(partial(slices_of, axis=axis, k=k))
        picture = np.moveaxis(image.samples, axis, 0)[k][window]
        x = _tensor(picture, channels)
        near, condition = own.within(window), None
        if restored and isinstance(method, ZeroShot) and method.corrected:
            yield Asked(k, math.inf, math.inf, window, picture, correction_answer(near, x))
            near = near.about(x)
        if scale:
            coarse = tuple(slice(w.start // scale, w.stop // scale) for w in window)
            y = _tensor(np.moveaxis(work.volume.samples, axis, 0)[k][coarse], channels)
            answer, condition = encoder_answer(near, y, scale, noise_std)
            yield Asked(k, math.inf, math.inf, window, picture, answer)
        noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(k))
        for level, sigma in zip(LEVELS, levels(mode, noise_std), strict=True):
            answer = denoiser_answer(near, x + sigma * noise, sigma, condition, scale, noise_std)
            yield Asked(k, level, sigma, window, picture, answer)


def levels(mode: Mode, noise_std: float) -> list[float]:
    """Noise levels about what a mode denoises, within those that it knows."""
    usual = mode.sigma_data_at(noise_std)
    return [float(np.clip(each * usual, mode.sigma_min, mode.sigma_max)) for each in LEVELS]


def _middle(n: int, multiple: int) -> slice:
    size = min(n, _SIDE) // multiple * multiple
    start = (n - size) // 2 // multiple * multiple
    return slice(start, start + size)


def _tensor(picture: Any, channels: int) -> torch.Tensor:
    """(1, C, H, W)."""
    return torch.from_numpy(np.ascontiguousarray(picture, np.float32)).expand(1, channels, -1, -1)
