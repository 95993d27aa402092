"""Small series of slices, written with pydicom, of a patient who does not exist."""

from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, MRImageStorage, generate_uid

PERSONAL = ("Doe^Jane", "ID-4711", "19610203", "20190405", "Surgeon^Sam", "Lakeside Clinic", "Operator^Olga", "Bed 7")
"""What of the patient no sentence may say."""

OBLIQUE = (0.96, 0.28, 0.0, -0.168, 0.576, 0.8)
"""Two perpendicular unit vectors of few digits."""

FIRST = (-20.0, -30.0, 10.0)
"""The first pixel of the first slice, LPS."""


def slices(
    n: int = 5,
    shape: tuple[int, int] = (6, 7),
    spacing: tuple[float, float, float] = (0.75, 0.5, 4.0),
    orientation: tuple[float, ...] = OBLIQUE,
    modality: str = "MR",
    stored: np.ndarray | None = None,
    patient: str = "ID-4711",
) -> list[Dataset]:
    """Slices along the normal, of stored values (rows, columns, slices), uint16 from 0 to 999 by default."""
    if stored is None:
        stored = np.random.default_rng(n).integers(0, 1000, (*shape, n)).astype(np.uint16)
    uids = {each: generate_uid() for each in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")}
    normal = np.cross(orientation[:3], orientation[3:])
    made = []
    for k in range(stored.shape[2]):
        each = _slice(stored[..., k], "CT" if modality == "CT" else "MR")
        each.Modality, each.PatientID = modality, patient
        for keyword, uid in uids.items():
            setattr(each, keyword, uid)
        each.InstanceNumber = k + 1
        each.PixelSpacing = list(spacing[:2])
        each.SliceThickness = each.SpacingBetweenSlices = spacing[2]
        each.ImageOrientationPatient = list(orientation)
        each.ImagePositionPatient = [round(float(v), 6) for v in FIRST + k * spacing[2] * normal]
        made.append(each)
    return made


def _slice(stored: np.ndarray, modality: str) -> Dataset:
    each = Dataset()
    each.SpecificCharacterSet = "ISO_IR 100"
    each.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL" if modality == "CT" else "M"]
    each.SOPClassUID = CTImageStorage if modality == "CT" else MRImageStorage
    each.SOPInstanceUID = generate_uid()
    each.PatientName, each.PatientBirthDate, each.PatientSex = "Doe^Jane", "19610203", "F"
    each.StudyDate = each.SeriesDate = each.AcquisitionDate = each.ContentDate = "20190405"
    each.StudyTime = each.SeriesTime = "101112"
    each.ReferringPhysicianName, each.OperatorsName = "Surgeon^Sam", "Operator^Olga"
    each.AccessionNumber, each.StudyID = "A1", "S1"
    each.InstitutionName, each.StationName = "Lakeside Clinic", "Bed 7"
    each.Manufacturer, each.ManufacturerModelName, each.SoftwareVersions = "ACME", "Ring 3", "1.2"
    each.StudyDescription, each.SeriesDescription, each.SeriesNumber = "Knee", "PD sagittal", 4
    each.AcquisitionNumber = 1
    if modality == "CT":
        each.KVP = 120
        each.RescaleSlope, each.RescaleIntercept, each.RescaleType = 1, -1024, "HU"
    else:
        each.ScanningSequence, each.SequenceVariant, each.ScanOptions = "SE", "NONE", ""
        each.MRAcquisitionType, each.RepetitionTime, each.EchoTime, each.EchoTrainLength = "2D", 3000, 30, 8
    each.WindowCenter, each.WindowWidth = 500, 1000
    each.SamplesPerPixel, each.PhotometricInterpretation = 1, "MONOCHROME2"
    each.Rows, each.Columns = stored.shape
    bits = 8 * stored.dtype.itemsize
    each.BitsAllocated, each.BitsStored, each.HighBit = bits, bits, bits - 1
    each.PixelRepresentation = int(stored.dtype.kind == "i")
    each.PixelData = stored.tobytes() + bytes(stored.nbytes % 2)
    each.private_block(0x0029, "ACME", create=True).add_new(0x01, "LO", "Doe^Jane, Bed 7")
    each.file_meta = FileMetaDataset()
    each.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return each


def write(folder: Path, made: list[Dataset]) -> Path:
    """Save slices under names without suffix that are in no order of theirs."""
    folder.mkdir(parents=True, exist_ok=True)
    for index, each in enumerate(made):
        pydicom.dcmwrite(folder / f"{(37 * index + 11) % 101:03d}", each, enforce_file_format=True)
    return folder
