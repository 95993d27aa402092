"""Networks of RGB pictures as those of grey ones: what they do where the three channels are equal."""

import torch
from torch import Tensor


def folded(key: str, value: Tensor, stem: int) -> Tensor:
    """One tensor of an RGB prior, for a grey one.

    What reads a picture is summed over RGB, what writes one is averaged: of a grey picture the folded network makes the
    mean over RGB of what the other makes of that picture in all three channels. Features and noise stay as they are.

    Args:
        key: NETWORK.TENSOR, as in the prior's file.
        value: of the RGB network.
        stem: the denoiser's.

    Source: ours, docs/methods.md#inheritance.
    """
    match key.split("."):
        case ["encoder", "heads", _, "weight"]:
            return _summed(value, 1, pictures=1)
        case ["encoder", "tails", scale, "mean", _]:
            return _averaged(value, int(scale) ** 2)
        case ["denoiser", "into", "weight"]:
            return _summed(value, stem**2, pictures=2)  # the residual, and the mean
        case ["denoiser", "out", _]:
            return _averaged(value, stem**2)
        case ["predictor", "entries", scale, "weight"]:
            return _summed(value, int(scale) ** 2, pictures=1)
    return value


def _summed(weight: Tensor, block: int, pictures: int) -> Tensor:
    """(out, (3·pictures + others)·block, …) to (out, (pictures + others)·block, …).

    Unshuffling puts the `block` pixels of a channel side by side, and channel after channel.
    """
    rgb, others = weight.tensor_split([3 * pictures * block], 1)
    summed = rgb.reshape(len(weight), pictures, 3, block, *weight.shape[2:]).sum(2).flatten(1, 2)
    return torch.cat([summed, others], 1)


def _averaged(tensor: Tensor, block: int) -> Tensor:
    """(3·block, …) to (block, …); shuffling takes the `block` pixels of a channel from side by side."""
    return tensor.reshape(3, block, *tensor.shape[1:]).mean(0)
