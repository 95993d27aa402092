"""A Gaussian blob at a known place in the world: measured, restored, and looked for in the files."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom
from nibabel.affines import apply_affine, voxel_sizes
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

from axes import AXES, Axes, loaded, saved, turned
from dicom_headers import affine_of, slices_of, values_of
from space import blob, centroid
from veriscale.diffusion.prior import Prior
from veriscale.settings import Settings, settled
from veriscale.workflows.degrading.scan_degradation import degrade_scan
from veriscale.workflows.restoring.prior_restorer import PriorRestorer
from veriscale.workflows.scans.scan_run import restore_scan

WIDTH = 5.0  # mm, the standard deviation


@dataclass(frozen=True)
class Setting:
    """How a blob is measured and restored; of each three the last is along the slices.

    Attributes:
        what: in words.
        truth: millimetres of the blob's own grid.
        operator: what measures it, with {axis} for that of the slices.
        asked: of the restoration; a spacing's three are put into the order of the file's axes.
    """

    what: str
    truth: tuple[float, float, float]
    operator: str
    asked: dict[str, Any]


THIN, THICK = (1.0, 1.0, 1.0), (1.0, 1.0, 4.0)
EXTENT = (32.0, 36.0, 40.0)  # mm; the last along the slices
SETTINGS = {
    "in_plane_x2": Setting("in plane ×2", THICK, "downsample:factor=2", {"scale": 2}),
    "in_plane_x3": Setting("in plane ×3", THICK, "downsample:factor=3", {"scale": 3}),
    "in_plane_x4": Setting("in plane ×4", THICK, "downsample:factor=4", {"scale": 4}),
    "in_plane_2_to_1.3": Setting("in plane 2 → 1.3 mm", THICK, "downsample:factor=2", {"spacing": (1.3, 1.3, None)}),
    "through_4_to_1": Setting(
        "through the plane 4 → 1 mm", THIN, "slice:fwhm=4,step=4,axis={axis}", {"spacing": (None, None, 1)}
    ),
    "through_3_to_1": Setting(
        "through the plane 3 → 1 mm", THIN, "slice:fwhm=3,step=3,axis={axis}", {"spacing": (None, None, 1)}
    ),
    "through_5_to_1.3": Setting(
        "through the plane 5 → 1.3 mm", THIN, "slice:fwhm=5,step=5,axis={axis}", {"spacing": (None, None, 1.3)}
    ),
    "anisotropic": Setting(
        "1 × 1 × 4 → 0.7 × 0.7 × 1 mm", THIN, "slice:fwhm=4,step=4,axis={axis}", {"spacing": (0.7, 0.7, 1)}
    ),
}


def in_stored_order(values: tuple[Any, Any, Any], slices: int) -> list[Any]:
    """Two in plane and one along the slices, as the file's axes follow."""
    ordered = list(values[:2])
    ordered.insert(slices, values[2])
    return ordered


def off(item: str, prior: Prior) -> list[float]:
    """Millimetres from the known point to the centroid of the result and of the measurement, for "anisotropic/LPS"."""
    key, name = item.split("/")
    setting, axes = SETTINGS[key], AXES[name]
    rng = np.random.default_rng(list(item.encode()))
    spacing = np.array(in_stored_order(setting.truth, axes.slices))
    shape = [round(n / step) for n, step in zip(in_stored_order(EXTENT, axes.slices), spacing, strict=True)]
    affine = nibabel.affines.from_matvec(axes.directions * spacing, rng.uniform(-150, 150, 3))
    at = apply_affine(affine, (np.array(shape) - 1) / 2) + rng.uniform(-1, 1, 3)
    asked = dict(setting.asked)
    if "spacing" in asked:
        wanted = in_stored_order(asked["spacing"], axes.slices)
        asked["spacing"] = ",".join("-" if each is None else f"{each:g}" for each in wanted)
    with tempfile.TemporaryDirectory() as folder:
        truth = saved(blob(shape, affine, at, WIDTH), affine, axes.form, axes.slices, Path(folder) / "truth.nii.gz")
        measurement = degrade_scan(truth, Path(folder) / "measured.nii.gz", setting.operator.format(axis=axes.slices))
        result = Path(folder) / "restored.nii.gz"
        restore_scan(PriorRestorer(prior, settled(Settings(**asked))), measurement, result)
        check_spacing(result, setting, axes)
        return [float(np.linalg.norm(centroid(*loaded(file)) - at)) for file in (result, measurement)]


def check_spacing(result: Path, setting: Setting, axes: Axes) -> None:
    """Stop where a result is not on the grid that was asked for: its centroid would say little."""
    wanted = in_stored_order(setting.asked.get("spacing", (1, 1, 4)), axes.slices)
    found = voxel_sizes(nibabel.load(result).affine)
    if any(w is not None and abs(f - w) > 1e-4 for f, w in zip(found, wanted, strict=True)):
        raise SystemExit(f"{axes.name}: {found} mm instead of {wanted}")


PLANES = {
    "axial": (1, 0, 0, 0, 1, 0),
    "sagittal": (0, 1, 0, 0, 0, -1),
    "coronal": (1, 0, 0, 0, 0, -1),
    **{f"oblique {k}": tuple(turned(np.random.default_rng(k))[:, :2].T.ravel()) for k in range(5)},
}
DICOM_SETTINGS = {
    "×2": Settings(scale=2),
    "2 → 1.3 mm in plane": Settings(spacing="1.3,1.3,-"),
    "4 → 1 mm through it": Settings(spacing="-,-,1"),
}


def slices_with_blob(folder: Path, orientation: tuple[float, ...], at: np.ndarray, first: np.ndarray) -> None:
    """A series of ten slices of 14 × 15 pixels, 2 × 2 × 4 mm, by pydicom."""
    x, y = np.reshape(np.array(orientation, float), (2, 3))
    normal = np.cross(x, y)
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ nibabel.affines.from_matvec(
        np.stack([2 * y, 2 * x, 4 * normal], axis=1), first
    )
    values = np.rint(10 * blob((14, 15, 10), affine, at, WIDTH)).astype(np.uint16)
    folder.mkdir()
    for k in range(values.shape[2]):
        each = Dataset()
        each.SOPClassUID, each.SOPInstanceUID, each.Modality = MRImageStorage, f"1.2.3.{k + 1}", "MR"
        each.StudyInstanceUID, each.SeriesInstanceUID, each.FrameOfReferenceUID = "1.2.3.101", "1.2.3.102", "1.2.3.103"
        each.ImageOrientationPatient = [f"{v:.12f}" for v in orientation]
        each.ImagePositionPatient = [f"{v:.9f}" for v in first + 4 * k * normal]
        each.PixelSpacing, each.SliceThickness, each.InstanceNumber = [2, 2], 4, k + 1
        each.Rows, each.Columns = values.shape[:2]
        each.SamplesPerPixel, each.PhotometricInterpretation, each.PixelRepresentation = 1, "MONOCHROME2", 0
        each.BitsAllocated, each.BitsStored, each.HighBit = 16, 16, 15
        each.PixelData = values[..., k].tobytes()
        each.file_meta = FileMetaDataset()
        each.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        pydicom.dcmwrite(folder / f"{37 * k % 11:02d}", each, enforce_file_format=True)


def off_in_series(item: str, prior: Prior) -> list[float]:
    """Of the derived series and of the NIfTI file beside it, for "×2/axial"."""
    asked, name = item.split("/")
    rng = np.random.default_rng(list(item.encode()))
    orientation, first = PLANES[name], rng.uniform(-100, 100, 3)
    x, y = np.reshape(orientation, (2, 3))
    middle = first + 13 * y + 14 * x + 18 * np.cross(x, y)
    at = middle * [-1, -1, 1] + rng.uniform(-1, 1, 3)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        slices_with_blob(folder / "series", orientation, at, first)
        restorer = PriorRestorer(prior, settled(DICOM_SETTINGS[asked]))
        restore_scan(restorer, folder / "series", folder / "out.nii.gz", dicom_out=folder / "derived")
        derived = slices_of(folder / "derived")
        found = [(values_of(derived), affine_of(derived)), loaded(folder / "out.nii.gz")]
        return [float(np.linalg.norm(centroid(*each) - at)) for each in found]
