"""Slices in order along their normal, and the grid that they make."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from veriscale.errors import InputError

Array = NDArray[np.float64]

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_SAME = 1e-4  # of direction cosines, which files write with five digits and more
_UNIT = 1e-3
_UNEVEN = 0.01  # of the step, as highdicom's
_COINCIDENT = 1e-2  # mm
_TILT = 2e-3  # tangent: rounded headers reach 1e-4, gantries are tilted by degrees
_SIDEWAYS = 0.1  # of a pixel, over the whole stack: what a rounded position may be off


@dataclass(frozen=True, eq=False)
class Stack:
    """An even stack of parallel slices.

    Attributes:
        order: indices of the slices as they were given, by position along the normal.
        affine: (4, 4), from (row, column, slice) to RAS millimetres.
        step: mm between neighbouring slices, from their positions; NaN for a single slice, whose third column of the
            affine is the unit normal.
    """

    order: tuple[int, ...]
    affine: Array
    step: float


def stacked(orientations: Array, positions: Array, spacing: tuple[float, float]) -> Stack:
    """Order slices along their normal.

    Args:
        orientations: (n, 6), ImageOrientationPatient: where the column index grows to, then the row index.
        positions: (n, 3) mm, ImagePositionPatient: the centre of the first pixel, LPS.
        spacing: mm between rows, between columns: PixelSpacing.

    Raises:
        InputError: orientations that differ or are none, slices at one position, missing or uneven ones, a stack that
            does not run along the normal.

    Source: DICOM PS3.3 C.7.6.2.1.1, equation C.7.6.2.1-1.
    """
    across, down = _directions(orientations)
    normal = np.cross(across, down)
    normal /= np.linalg.norm(normal)
    heights = positions @ normal
    order = np.argsort(heights, kind="stable")
    heights, positions = heights[order], positions[order]
    step = normal
    if len(positions) > 1:
        _check_distinct(heights)
        _check_even(heights)
        step = (positions[-1] - positions[0]) / (len(positions) - 1)
        _check_straight(positions, step, normal, min(spacing))
    lps = np.eye(4)
    lps[:3] = np.stack([down * spacing[0], across * spacing[1], step, positions[0]], axis=1)
    length = float(np.linalg.norm(step)) if len(positions) > 1 else float("nan")
    return Stack(tuple(order.tolist()), LPS_TO_RAS @ lps, length)


def _directions(orientations: Array) -> tuple[Array, Array]:
    apart = float(np.abs(orientations - orientations[0]).max())
    if apart > _SAME:
        raise InputError(
            f"the slices have different orientations (direction cosines up to {apart:.3g} apart), as a localizer has; "
            "put the slices of one orientation into a folder of their own"
        )
    pair = orientations.mean(axis=0).reshape(2, 3)
    if np.abs(pair @ pair.T - np.eye(2)).max() > _UNIT:
        raise InputError("ImageOrientationPatient does not hold two perpendicular unit vectors; repair the headers")
    across, down = pair  # as they stand, rounded: made perpendicular, the far corner moves by hundredths of a mm
    return across, down


def _check_distinct(heights: Array) -> None:
    places = 1 + int((np.diff(heights) >= _COINCIDENT).sum())
    if places < len(heights):
        raise InputError(
            f"the {len(heights)} slices lie at {places} position{'s' * (places > 1)}: there are several at one, such "
            "as phases, echoes or time points, or files twice; put the slices of one into a folder of their own"
        )


def _check_even(heights: Array) -> None:
    gaps = np.diff(heights)
    usual = float(np.median(gaps)) if len(gaps) > 2 else float(gaps.min())
    off = np.abs(gaps - usual)
    worst = int(off.argmax())
    if off[worst] <= max(_UNEVEN * usual, _COINCIDENT):
        return
    below, above, gap = heights[worst], heights[worst + 1], gaps[worst]
    where = f"between {below:.2f} mm and {above:.2f} mm along the slice normal"
    missing = round(gap / usual) - 1
    if missing >= 1 and abs(gap / usual - missing - 1) < 0.1:
        raise InputError(
            f"{missing} slice{'s are' if missing > 1 else ' is'} missing {where} (others are {usual:.3f} mm apart); "
            "give the whole series, or the slices of one side in a folder of their own"
        )
    raise InputError(
        f"the slices are unevenly spaced: {gap:.3f} mm {where}, {usual:.3f} mm elsewhere; "
        "give a series with even spacing, or resample it to one first"
    )


def _check_straight(positions: Array, step: Array, normal: Array, pixel: float) -> None:
    line = positions[0] + np.arange(len(positions))[:, None] * step
    scatter = positions - line
    sideways = np.linalg.norm(scatter - (scatter @ normal)[:, None] * normal, axis=1).max()
    along = float(step @ normal)
    drift = float(np.linalg.norm(step - along * normal))
    slack = _SIDEWAYS * pixel
    if drift > _TILT * along and drift * (len(positions) - 1) > slack:
        raise InputError(
            f"the slices are stacked at {np.degrees(np.arctan2(drift, along)):.1f}° to their normal (gantry tilt): "
            "the grid is sheared; straighten it first, e.g. with `dcm2niix`, which writes a tilt-corrected NIfTI file"
        )
    if sideways > max(slack, _TILT * along):
        raise InputError(
            f"the slices are shifted against each other by up to {sideways:.2f} mm within their plane; "
            "give the slices of one stack, or resample them to one grid first"
        )
