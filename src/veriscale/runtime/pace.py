"""How long the networks take here, by one small evaluation of each."""

import time
from collections.abc import Callable, Sequence

import torch

from veriscale.diffusion.prior import Prior, TrainedPrior
from veriscale.runtime.networks import UnconditionalDenoiser, encode

PIXELS = 1 << 16
_LEVEL = 0.5


def denoiser_pace(prior: Prior, shape: Sequence[int], anew: bool = False) -> float:
    """Seconds a pixel of one evaluation of the denoiser.

    Args:
        prior: on its device.
        shape: (H, W) of the pictures.
        anew: whether what guides say is found at each, as it is through the plane, and not kept from the one before.
    """
    height, width = _cut(shape)
    x = torch.full((max(1, PIXELS // (height * width)), prior.card.network.channels, height, width), _LEVEL)

    def evaluate() -> object:
        return UnconditionalDenoiser(prior.rearranged(lambda t: t) if anew else prior)(x, _LEVEL)

    return _seconds(evaluate) / (len(x) * height * width)


def encoder_pace(prior: TrainedPrior, shape: Sequence[int], scale: int, features: bool) -> float:
    """Seconds a pixel of the result of one evaluation of the encoder.

    Args:
        prior: on its device.
        shape: (H, W) of the results.
        scale: one the prior knows.
        features: whether the denoiser will run.
    """
    height, width = (max(1, n // scale) for n in _cut(shape))
    y = torch.full((1, prior.card.network.channels, height, width), _LEVEL)

    def evaluate() -> object:  # anew for every picture: guides are read for each
        return encode(prior.rearranged(lambda t: t), y, scale, 0.0, features=features)

    return _seconds(evaluate) / (height * width * scale**2)


def _cut(shape: Sequence[int]) -> tuple[int, int]:
    side = int(PIXELS**0.5)
    return min(side, shape[0]), min(side, shape[1])


def _seconds(evaluate: Callable[[], object]) -> float:
    evaluate()  # the first one makes what later ones find
    begun = time.perf_counter()
    evaluate()
    return time.perf_counter() - begun
