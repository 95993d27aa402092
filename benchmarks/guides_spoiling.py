"""How guides are spoilt where they are judged: the ways of training at fixed strengths, and ways never trained on."""

from collections.abc import Mapping

import numpy as np
import torch
from scipy.ndimage import gaussian_filter, map_coordinates
from torch import Tensor

from veriscale.metrics.foreground import FLOOR
from veriscale.stages.corruption import CORRUPTIONS, Corruption

SIDE = 48
"""Of the region, in pixels of the truth."""
_BEND, _SMOOTH = 4.0, 8.0  # pixels: RMS of an elastic displacement, std that it is smooth over

Region = tuple[slice, slice]


def inverted(guide: Tensor, other: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Dark for bright in the body; air stays air."""
    return torch.where(guide > FLOOR, 1 + FLOOR - guide, guide)


def elastic(guide: Tensor, other: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Moved by a smooth random field, 4 pixels on RMS average."""
    field = gaussian_filter(torch.randn((2, *guide.shape), generator=generator).numpy(), (0, _SMOOTH, _SMOOTH))
    field *= _BEND / np.sqrt(np.square(field).sum(0).mean())
    at = np.stack(np.meshgrid(*map(np.arange, guide.shape), indexing="ij")) + field
    return torch.from_numpy(map_coordinates(guide.numpy(), at, order=1, mode="nearest"))


TRAINED: Mapping[str, tuple[Corruption, float]] = {
    "blur": (CORRUPTIONS["blur"], 0.75),  # std 4
    "shift": (CORRUPTIONS["shift"], 0.5),  # by 4 voxels
    "swap": (CORRUPTIONS["swap"], 0.0),
    "noise": (CORRUPTIONS["noise"], 0.6),  # std 0.2
    "blank": (CORRUPTIONS["blank"], 0.0),
}
"""Kinds that training draws too, each with the strength at which it is judged."""
UNSEEN: Mapping[str, tuple[Corruption, float]] = {"inverted": (inverted, 0.0), "elastic": (elastic, 0.0)}
KINDS = {**TRAINED, **UNSEEN}


def spoilt(kind: str, guide: Tensor, other: Tensor, region: Region | None, generator: torch.Generator) -> Tensor:
    """A guide (H, W) spoilt in a region, or everywhere; `other` is a wrong slice of it."""
    how, strength = KINDS[kind]
    changed = how(guide, other, strength, generator)
    if region is None:
        return changed
    out = guide.clone()
    out[region] = changed[region]
    return out


def region_in(mask: np.ndarray, seed: int) -> Region:
    """A square of `SIDE` pixels a side, or the whole side, about a pixel of the mask (H, W), inside the picture."""
    places = np.argwhere(mask)
    centre = places[np.random.default_rng(seed).integers(len(places))]
    rows, columns = (
        slice(first, first + min(SIDE, n))
        for n, at in zip(mask.shape, centre.tolist(), strict=True)
        for first in [max(0, min(at - SIDE // 2, n - SIDE))]
    )
    return rows, columns
