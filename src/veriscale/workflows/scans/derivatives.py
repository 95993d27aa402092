"""Restored scans as BIDS derivatives: a JSON file beside every volume, and the files that make a folder a dataset.

Nothing of them tells whose scan it is: sources are named by their hash, and of the scan's own JSON file only numbers of
physics are kept.
"""

import json
import math
from importlib.metadata import version
from pathlib import Path
from typing import Any

from veriscale.imaging.atomic import replacing
from veriscale.imaging.bids import DESCRIPTION, dataset_of, resolution_text
from veriscale.imaging.slice_thickness import sidecar_of
from veriscale.workflows.restoring.restoration import write_json
from veriscale.workflows.scans.scan_names import ScanNames
from veriscale.workflows.scans.scan_restoration import ScanRestoration

BIDS_VERSION = "1.10.0"
_IGNORED = ("*.run.json", "*_report.html")
_PHYSICS = (
    *("MagneticFieldStrength", "EchoTime", "RepetitionTime", "InversionTime", "FlipAngle", "EchoTrainLength"),
    *("RepetitionTimeExcitation", "RepetitionTimePreparation", "PixelBandwidth", "MTState"),
)
_SLICES = ("SliceThickness", "SpacingBetweenSlices")  # true as long as the slices are the same


def write_derivatives(
    names: ScanNames, result: ScanRestoration, told: dict[str, Any], sha256: str, force: bool
) -> None:
    """Write the JSON files beside the volumes, and make the dataset where there is to be one.

    Args:
        names: of BIDS derivatives; the volumes are written.
        result: of the scan.
        told: the fields of the scan's own JSON file.
        sha256: of the scan.
        force: replace JSON files that are there; a dataset's own are only ever added.

    Raises:
        InputError: a file exists and `force` is not set, or cannot be written.
    """
    prior, draws = result.run["prior"]["name"], len(names.draws)
    by = f"by Veriscale with the prior {prior}"
    texts = {path: f"Restored {by}, dial {f:g}" for f, path in names.images.items()}
    texts |= {path: f"Draw {k} of {draws} {by}, dial 1" for k, path in enumerate(names.draws)}
    texts |= {names.mean: f"Mean of {draws} draws {by}", names.std: f"Standard deviation of {draws} draws {by}"}
    if names.trusted is not None and result.mask is not None:
        texts[names.trusted] = f"Which voxels are trusted at alpha {result.mask.alpha}: 1; {result.mask.sentences()[0]}"
    fields = _fields(names, result, told, sha256)
    for path in names.volumes:
        write_json({"Description": texts[path], **fields}, sidecar_of(path), force)
    if names.dataset is not None and not in_raw_dataset(names):
        make_dataset(names.dataset)


def make_dataset(folder: Path) -> None:
    """Make a folder a dataset of derivatives, where it is none yet, whose validator passes over records and reports.

    Raises:
        InputError: a file cannot be written.
    """
    description, ignored = folder / DESCRIPTION, folder / ".bidsignore"
    if not description.exists():
        made = {"Name": "Veriscale", "Version": version("veriscale"), "Description": "Restoration by diffusion priors"}
        content = {
            "Name": "Scans restored by Veriscale",
            "BIDSVersion": BIDS_VERSION,
            "DatasetType": "derivative",
            "GeneratedBy": [made],
        }
        write_json(content, description, False)
    lines = ignored.read_text(encoding="utf-8").splitlines() if ignored.is_file() else []
    if missing := [line for line in _IGNORED if line not in lines]:
        with replacing(ignored, force=True) as temporary:
            temporary.write_text("\n".join([*lines, *missing, ""]), encoding="utf-8")


def in_raw_dataset(names: ScanNames) -> bool:
    """Whether the results of a scan would lie in a dataset of raw data, whose validator refuses derivatives."""
    if names.bids is None:
        return False
    folder = dataset_of(names.run)
    if folder is None:
        return False
    try:
        described = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(described, dict) and described.get("DatasetType", "raw") == "raw"


def _fields(names: ScanNames, result: ScanRestoration, told: dict[str, Any], sha256: str) -> dict[str, Any]:
    """What the JSON files of all results of a scan hold."""
    volume, before = result.image, result.measurement
    fields: dict[str, Any] = {"Sources": [f"hash://sha256/{sha256}"]}
    if names.resolution is not None:
        spacing = volume.origin.orientation.values_outside(volume.spacing)
        fields["Resolution"] = {names.resolution: resolution_text(spacing)}
    stripped = told.get("SkullStripped")
    if isinstance(stripped, bool):
        fields["SkullStripped"] = stripped
    elif names.bids is not None and names.bids.raw:
        fields["SkullStripped"] = False  # raw data are as the scanner made them
    reference = told.get("SpatialReference")
    if isinstance(reference, str) and (reference == "orig" or reference.startswith("https://")):
        fields["SpatialReference"] = reference  # and no path, whose names may be anybody's
    axis = volume.slice_axis
    same = math.isclose(volume.spacing[axis], before.spacing[axis], rel_tol=1e-4)
    for key in (*_PHYSICS, *(_SLICES if same else ())):
        value = told.get(key)
        if isinstance(value, int | float) and math.isfinite(value):
            fields[key] = value
    return fields
