"""Distance of a restored scan to its truth, voxel by voxel: PSNR and SSIM in a foreground mask and over all.

Scans have no agreed white: the data range is the 99.9th percentile of the truth in the foreground. Nothing is clipped
or rounded.

Source: ours, docs/methods.md#numbers-of-scans
"""

import math

import numpy as np
import numpy.typing as npt

from veriscale.errors import InputError
from veriscale.metrics.structural_similarity import WINDOW, similarity_map

Array = npt.NDArray[np.floating]
Mask = npt.NDArray[np.bool_]

_PERCENTILE = 99.9


def data_range(truth: Array, mask: Mask | None = None) -> float:
    """The 99.9th percentile of the truth in the mask, or over all.

    Args:
        truth: of any shape, in the scan's units, in which 0 is no signal.
        mask: the same shape: the foreground.

    Raises:
        InputError: the shapes differ, the mask is empty, or the percentile is not above 0.
    """
    found = float(np.percentile(_inside(truth, mask), _PERCENTILE))
    if not (found > 0 and math.isfinite(found)):
        raise InputError(f"the truth's 99.9th percentile is {found:g}, no range of intensities: check mask and volume")
    return found


def scan_psnr(image: Array, truth: Array, width: float, mask: Mask | None = None) -> float:
    """Peak signal-to-noise ratio of a scan, in dB; infinite for equal ones.

    Args:
        image: of any shape, in the scan's units.
        truth: the same shape.
        width: the data range, as `data_range` gives it.
        mask: the same shape: the voxels that count; all by default.

    Raises:
        InputError: the shapes differ, the mask is empty, or the range is not above 0.
    """
    _check(image, truth, width)
    error = float(np.mean((_inside(image, mask) - _inside(truth, mask)) ** 2))
    return math.inf if error == 0 else 10 * math.log10(width**2 / error)


def scan_ssim(image: Array, truth: Array, width: float, mask: Mask | None = None) -> float:
    """Mean structural similarity of a scan's slices, over the voxels of a mask whose windows lie in the slice.

    Args:
        image: (K, H, W), slices first, in the scan's units; (H, W) is one slice.
        truth: the same shape.
        width: the data range, as `data_range` gives it.
        mask: the same shape: the voxels that count; all by default.

    Raises:
        InputError: the shapes differ, a slice is smaller than a window, no voxel of the mask is that far inside, or the
            range is not above 0.

    Source: Wang et al. 2004, as `metrics.distortion.ssim_luma`, with `width` for the range of the picture.
    """
    _check(image, truth, width)
    if image.ndim not in (2, 3) or min(image.shape[-2:]) < WINDOW:
        raise InputError(f"SSIM needs slices of at least {WINDOW} pixels a side, got an array of {image.shape}")
    _inside(truth, mask)  # checks it
    kept = np.ones(truth.shape, bool) if mask is None else mask
    reach = WINDOW // 2
    total, count = 0.0, 0
    shape = (-1, *image.shape[-2:])
    for x, y, m in zip(image.reshape(shape), truth.reshape(shape), kept.reshape(shape), strict=True):
        where = m[reach:-reach, reach:-reach]
        if where.any():  # slice by slice: no maps of the volume
            total += float(similarity_map(x.astype(np.float64), y.astype(np.float64), width)[where].sum())
            count += int(where.sum())
    if count == 0:
        raise InputError(f"no voxel of the mask is {reach} pixels inside its slice: use a larger mask")
    return total / count


def _check(image: Array, truth: Array, width: float) -> None:
    if image.shape != truth.shape:
        raise InputError(f"the scan is {image.shape} and its truth {truth.shape}: both need the same shape")
    if not (width > 0 and math.isfinite(width)):
        raise InputError(f"{width:g} is no range of intensities: one above 0 would do")


def _inside(values: Array, mask: Mask | None) -> npt.NDArray[np.float64]:
    if mask is None:
        return values.astype(np.float64).ravel()
    if mask.shape != values.shape or mask.dtype != np.bool_:
        raise InputError(f"the mask is {mask.dtype} of {mask.shape}: one of bool of {values.shape} would do")
    if not mask.any():
        raise InputError("the mask is empty: no voxel counts")
    return values[mask].astype(np.float64)
