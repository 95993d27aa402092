"""How thick a scan's slices are: what a file beside it says, never a guess."""

import json
from pathlib import Path
from typing import Any

from veriscale.errors import InputError
from veriscale.imaging.scan_name import split_scan_name

_SAME = 1e-2  # relative: headers round


def sidecar_of(path: Path) -> Path:
    """The JSON file of a scan's name, as BIDS and DICOM converters write it."""
    return path.with_name(f"{split_scan_name(path)[0]}.json")


def fields_of(path: Path) -> dict[str, Any]:
    """The fields of a scan's JSON sidecar; none where there is no such file.

    Raises:
        InputError: it cannot be read, or holds something else.
    """
    file = sidecar_of(path)
    if not file.is_file():
        return {}
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(
            f"The scan's JSON sidecar cannot be read: {type(error).__name__}; mend or remove it."
        ) from error
    if not isinstance(told, dict):
        raise InputError("The scan's JSON sidecar holds no fields; mend or remove it.")
    return told


def thickness_of(path: Path, step: float) -> float | None:
    """The SliceThickness of a scan's JSON sidecar, in millimetres; None where nothing says it.

    Args:
        path: the scan.
        step: millimetres from slice to slice, by the scan's affine.

    Raises:
        InputError: the sidecar cannot be read, its thickness is none, or its SpacingBetweenSlices is not the affine's.

    Source: BIDS 1.10, MRI metadata fields.
    """
    told = fields_of(path)
    apart = _millimetres(told, "SpacingBetweenSlices")
    if apart is not None and abs(apart - step) > _SAME * step:
        raise InputError(
            f"The scan's JSON sidecar says that its slices are {apart:g} mm apart, and its affine {step:g}; "
            "correct the one that is wrong."
        )
    return _millimetres(told, "SliceThickness")


def _millimetres(told: dict[str, object], field: str) -> float | None:
    value = told.get(field)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1000:
        raise InputError(f"The scan's JSON sidecar says a {field} that is no distance in mm; correct it.")
    return float(value)
