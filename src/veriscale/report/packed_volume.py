"""Volumes as text: cropped, in 8 bits, deflated, and together below a size a browser and a mail server take."""

import base64
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from veriscale.imaging.geometry import spacing_of
from veriscale.imaging.volume import Volume
from veriscale.report.volume_frame import Frame

BUDGET = 14_000_000  # bytes of all volumes together: 18.7 MB in base64
LARGEST = 64_000_000  # voxels of one volume: more would be slow to open
STEPS = (255, 127, 63)  # finest first
_SLABS = 16  # that an estimate of the size looks at
_ESTIMATE_OFF = 1.2


@dataclass(frozen=True)
class Packing:
    """How all volumes of a page are stored, so that comparing them is fair.

    Attributes:
        steps: of value, from the first to the last.
        every: (3,) along each axis every so manieth voxel of the results is kept; of a coarser volume as many as come
            nearest to that without being coarser.
    """

    steps: int
    every: tuple[int, int, int]


@dataclass(frozen=True)
class Scale:
    """What the first and the last value stand for, in a volume's samples."""

    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Crop:
    """The part of a volume that a page shows, as it is.

    Attributes:
        samples: (X, Y, Z), a view.
        edge: (3,), the outer corner of voxel 0, in millimetres of the frame.
        step: (3,), millimetres from voxel to voxel.
        scale: of its values.
    """

    samples: NDArray[np.float32]
    edge: NDArray[np.float64]
    step: NDArray[np.float64]
    scale: Scale


@dataclass(frozen=True)
class PackedVolume:
    """One volume as it stands in the page.

    Attributes:
        shape: (X, Y, Z).
        edge: (3,), the outer corner of voxel 0, in millimetres of the frame.
        step: (3,), millimetres from voxel to voxel.
        data: base64 of the deflated values, 8 bits each, Z fastest.
    """

    shape: tuple[int, ...]
    edge: tuple[float, ...]
    step: tuple[float, ...]
    data: str


def crop_of(volume: Volume, frame: Frame, scale: Scale) -> Crop:
    """The voxels of a volume of which some part lies in the frame's box."""
    step, edge = spacing_of(volume.affine), frame.edge(volume.affine)
    first = np.clip(np.floor(-edge / step + 1e-6), 0, np.array(volume.shape) - 1).astype(int)
    last = np.clip(np.ceil((frame.size - edge) / step - 1e-6), first + 1, volume.shape).astype(int)
    inside = tuple(slice(a, b) for a, b in zip(first.tolist(), last.tolist(), strict=True))
    return Crop(volume.samples[inside], edge + first * step, step, scale)


def pack(crops: Sequence[Crop], budget: int = BUDGET) -> tuple[list[PackedVolume], Packing]:
    """Pack volumes alike, as well as the budget allows: first with fewer steps of value, then with fewer voxels.

    Args:
        crops: the finest first.
        budget: bytes before base64.

    Returns:
        One volume each, and how they are packed.
    """
    finest = crops[0]
    for packing in _ladder(finest.step):
        kept = [_thinned(crop, finest.step * packing.every) for crop in crops]
        last = all(n == 1 for n in kept[0].samples.shape)
        too_many = max(crop.samples.size for crop in kept) > LARGEST
        if not last and (too_many or sum(_estimate(c, packing.steps) for c in kept) > budget * _ESTIMATE_OFF):
            continue
        files = [zlib.compress(levels(c, packing.steps).tobytes()) for c in kept]
        if last or sum(map(len, files)) <= budget:
            break
    return [_packed(crop, file) for crop, file in zip(kept, files, strict=True)], packing


def levels(crop: Crop, steps: int) -> NDArray[np.uint8]:
    """(X, Y, Z), which of the steps each voxel is nearest to; what lies beyond the scale is at its end."""
    out = np.empty(crop.samples.shape, np.uint8)
    factor = steps / (crop.scale.high - crop.scale.low)
    for x, slab in enumerate(crop.samples):  # slab by slab: no second volume
        out[x] = np.rint(np.clip((slab - crop.scale.low) * factor, 0, steps))
    return out


def _ladder(step: NDArray[np.float64]) -> Iterator[Packing]:
    """Ever smaller; of the axes those with the finest step lose voxels first."""
    every = np.ones(3, int)
    while True:
        a, b, c = every.tolist()
        for steps in STEPS if (every == 1).all() else STEPS[:1]:
            yield Packing(steps, (a, b, c))
        now = step * every
        every[now <= 1.01 * now.min()] += 1


def _thinned(crop: Crop, target: NDArray[np.float64]) -> Crop:
    """Of voxels finer than the target those that come nearest to it; each stays where it is."""
    every = np.maximum(np.floor(target / crop.step + 1e-6), 1).astype(int)
    every = np.minimum(every, crop.samples.shape)
    first = (every - 1) // 2
    samples = crop.samples[tuple(slice(a, None, n) for a, n in zip(first.tolist(), every.tolist(), strict=True))]
    return Crop(samples, crop.edge + (first + 0.5 - every / 2) * crop.step, crop.step * every, crop.scale)


def _estimate(crop: Crop, steps: int) -> float:
    """Bytes, from some slabs."""
    n = len(crop.samples)
    some = crop.samples[:: max(1, n // _SLABS)]
    part = levels(Crop(some, crop.edge, crop.step, crop.scale), steps)
    return len(zlib.compress(part.tobytes())) * n / len(some)


def _packed(crop: Crop, file: bytes) -> PackedVolume:
    edge, step = (tuple(round(v, 6) for v in a.tolist()) for a in (crop.edge, crop.step))
    return PackedVolume(crop.samples.shape, edge, step, base64.b64encode(file).decode("ascii"))
