"""Where a result's voxels lie, written into the header of the file that it came from.

A grid that is the old one made finer keeps the quaternion bit for bit, since one that is remade near 180° loses up to
0.3 mm to float32: only pixdim and offsets change, and the sform's columns.
"""

from typing import Any

import numpy as np

from veriscale.imaging.geometry import Affine, Grid, corners_of, shear_of, spacing_of, world_of
from veriscale.imaging.nifti.header import millimetres, qform_of, sform_of

_KEPT = 2e-5  # mm at the corners: a grid that departs by less has the old axes
_HELD = 1e-3  # mm at the corners: a remade qform that departs by more does not hold the position
_NEAR = 0.02  # mm at the corners: as near as scanners' rounded axes are; it may stay beside a sform that holds it


def place(header: Any, old: Affine, grid: Grid) -> list[str]:
    """Write where the voxels of a grid lie into nibabel's header of the old grid.

    Args:
        header: changed in place; its codes stay, but for that of a qform which cannot hold the grid.
        old: (4, 4), the affine that the header stands for, in mm.
        grid: with stored axes, in mm.

    Returns:
        A line where the qform had to go, or is off; mostly none.

    Source: ours, docs/methods.md#scans-geometry-and-intensity
    """
    change = np.asarray(
        np.linalg.solve(old, grid.affine), np.float64
    )  # new voxels to old ones: it moves sform and qform alike
    if int(header["sform_code"]) > 0:
        _set_sform(header, sform_of(header) @ change)
    step = np.diag(change)[:3]
    turned = old[:3, :3] @ (change[:3, :3] - np.diag(step)) @ corners_of(grid.shape).T
    notes = _drop_broken_qform(header)
    if (step > 0).all() and np.linalg.norm(turned, axis=0).max() <= _KEPT:
        _stretch(header, change, step, grid)
        return notes
    return notes + _turn(header, change, grid)


def _drop_broken_qform(header: Any) -> list[str]:
    """Beside a sform that is sound a file may have one that is not."""
    try:
        if int(header["qform_code"]) == 0 or np.isfinite(qform_of(header)).all():
            return []
    except ValueError:
        pass
    _drop_qform(header)
    return ["the qform is not kept: it places nothing"]


def _drop_qform(header: Any) -> None:
    header["qform_code"] = 0
    for field in ("quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z"):
        header[field] = 0


def _stretch(header: Any, change: Affine, step: Any, grid: Grid) -> None:
    if int(header["qform_code"]) > 0:
        header["qoffset_x"], header["qoffset_y"], header["qoffset_z"] = (qform_of(header) @ change)[:3, 3]
    before = np.abs(header["pixdim"][1:4].astype(np.float64))
    known = (before > 0) & np.isfinite(before)  # where there is no qform they may never have been set
    header["pixdim"][1:4] = np.where(known, before * step, spacing_of(grid.affine) / millimetres(header))


def _turn(header: Any, change: Affine, grid: Grid) -> list[str]:
    code = int(header["qform_code"])
    if code == 0:
        header["pixdim"][1:4] = spacing_of(grid.affine) / millimetres(header)
        return []
    wanted = qform_of(header) @ change
    header.set_qform(wanted)
    corners = corners_of(grid.shape)
    off = np.linalg.norm(world_of(qform_of(header), corners) - world_of(wanted, corners), axis=1).max()
    off *= millimetres(header)
    if off <= _HELD:
        return []
    why = "axes that are not at right angles" if shear_of(wanted) > 1e-6 else "this rotation to 0.001 mm"
    if int(header["sform_code"]) > 0 and off <= _NEAR:
        return [f"where the voxels lie is in the sform: the qform cannot hold {why}, and is off by {off:.1g} mm"]
    _drop_qform(header)
    if int(header["sform_code"]) == 0:
        header["sform_code"] = code
        _set_sform(header, wanted)
    return [f"where the voxels lie is in the sform alone: a qform cannot hold {why}"]


def _set_sform(header: Any, matrix: Affine) -> None:
    header["srow_x"], header["srow_y"], header["srow_z"] = matrix[:3]
