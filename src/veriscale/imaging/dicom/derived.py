"""A restored volume as a DICOM series of its own."""

import os
from copy import deepcopy
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from veriscale.errors import InputError
from veriscale.imaging.atomic import appearing
from veriscale.imaging.dicom.attribute import slice_name, value
from veriscale.imaging.dicom.carried import acquisition, patient_and_study
from veriscale.imaging.dicom.derivation import Derivation, describe, source_items
from veriscale.imaging.dicom.identifiers import uid_of
from veriscale.imaging.dicom.pixels import rescale
from veriscale.imaging.dicom.planes import Planes, check_parallel, contributing, planes_of
from veriscale.imaging.dicom.series import Series
from veriscale.imaging.dicom.stored_values import Rescale, coarser, decimal, fitting
from veriscale.imaging.dicom.validation import as_they_stand

if TYPE_CHECKING:
    from pydicom import Dataset

MODALITIES = {"1.2.840.10008.5.1.4.1.1.4": "MR", "1.2.840.10008.5.1.4.1.1.2": "CT"}
"""Storage classes that a series can be derived of."""

_KINDS = {"MR": "OTHER", "CT": "AXIAL"}  # the third value of ImageType where the source has none
_SAME = 1e-3  # mm


def write_derived(
    series: Series,
    samples: NDArray[np.floating],
    affine: NDArray[np.float64],
    folder: str | os.PathLike[str],
    derivation: Derivation,
) -> tuple[str, ...]:
    """Write a restored volume beside its source: a new series of the same study, one file a slice.

    Identifiers are functions of the content: the same restoration of the same series has the same, byte for byte.
    Stored integers keep the source's steps, so that rounding is at most half of one.

    Args:
        series: the source.
        samples: (rows, columns, slices) in the source's units, finite.
        affine: (4, 4), from (row, column, slice) to RAS mm; another spacing and extent, the source's axes.
        folder: new, with a parent that exists; it appears whole or not at all.
        derivation: what was done.

    Returns:
        Sentences for the user.

    Raises:
        InputError: another class than MR and CT, no identifiers, axes that turn, NaN, a folder that is there, no
            rights, disk full.

    Source: DICOM PS3.3 A.3, A.4, C.7, C.8.2.1, C.8.3.1, C.11.1; ours: docs/methods.md#dicom.
    """
    check_derivable(series)
    if samples.ndim != 3 or 0 in samples.shape or max(samples.shape[:2]) >= 2**16:
        raise InputError(
            f"samples of shape {samples.shape} make no series; needed: (rows, columns, slices), each at least 1, "
            "rows and columns below 65,536"
        )
    check_parallel(affine, series.affine)
    planes, source = planes_of(affine, samples.shape[2]), planes_of(series.affine, series.samples.shape[2])
    with as_they_stand():
        scale = _scale(series, samples)
        resampled = samples.shape != series.samples.shape or not np.allclose(affine, series.affine, atol=_SAME, rtol=0)
        common = _common(series, planes, scale, derivation, resampled)
        common.Rows, common.Columns = samples.shape[:2]
        made = uid_of(*(str(each.SOPInstanceUID) for each in series.datasets), _encoded(common), affine.tobytes())
        made_from = contributing(planes, source)
        items = {
            each: source_items([series.datasets[k] for k in each], preserved=not resampled) for each in set(made_from)
        }
        stored = [scale.stored(samples[..., index]) for index in range(samples.shape[2])]
        common.SeriesInstanceUID = uid_of("series", made, *(each.tobytes() for each in stored))
        with appearing(folder) as temporary:
            for index, pixels in enumerate(stored):
                each = _slice(common, planes, index, pixels)
                each.SourceImageSequence = items[made_from[index]]
                each.save_as(temporary / f"{index + 1:04d}.dcm", enforce_file_format=True)
    return tuple(_remarks(series, scale))


def check_derivable(series: Series) -> None:
    """Raise `InputError` for a series of another class than MR and CT, or without the identifiers to refer to."""
    for each in series.datasets:
        for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
            if value(each, keyword) is None:
                raise InputError(
                    f"{slice_name(each)} has no {keyword}, which a derived series refers to; "
                    "export the series again, or write a NIfTI file instead"
                )
    classes = {str(value(each, "SOPClassUID")) for each in series.datasets}
    if len(classes) > 1 or not classes <= set(MODALITIES):
        raise InputError(
            "a derived DICOM series is written for MR and CT images and the source is another kind; "
            "write a NIfTI file instead"
        )


def _scale(series: Series, samples: NDArray[np.floating]) -> Rescale:
    first = series.datasets[0]
    return fitting(samples, series.source_step, rescale(first)[1], bool(value(first, "PixelRepresentation")))


def _common(series: Series, planes: Planes, scale: Rescale, derivation: Derivation, resampled: bool) -> "Dataset":
    """What all slices of the derived series say alike, without identifiers of their own."""
    from pydicom import Dataset
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    sources = series.datasets
    kind = str(sources[0].SOPClassUID)
    header = Dataset()
    if "SpecificCharacterSet" in sources[0]:
        header.SpecificCharacterSet = sources[0].SpecificCharacterSet
    header.update(patient_and_study(sources[0]))
    header.update(acquisition(sources, MODALITIES[kind]))
    header.SOPClassUID = kind
    header.Modality = MODALITIES[kind]
    old = value(sources[0], "ImageType") or ""
    further = [] if isinstance(old, str) else list(old[2:])  # one value alone is a string
    header.ImageType = ["DERIVED", "SECONDARY", *(further or [_KINDS[header.Modality]])]
    describe(header, derivation, sources, resampled)
    header.FrameOfReferenceUID = _frame(sources)
    header.ImageOrientationPatient = [decimal(each) for each in planes.orientation]
    header.PixelSpacing = [decimal(each) for each in planes.spacing]
    header.SpacingBetweenSlices = decimal(planes.step)
    kept = abs(planes.step - series.spacing[2]) < _SAME
    thickness = series.thickness if kept else planes.step
    header.SliceThickness = None if thickness is None else decimal(thickness)
    header.SamplesPerPixel = 1
    header.PhotometricInterpretation = sources[0].get("PhotometricInterpretation", "MONOCHROME2")
    header.BitsAllocated = header.BitsStored = 16
    header.HighBit, header.PixelRepresentation = 15, int(scale.signed)
    header.RescaleSlope, header.RescaleIntercept = scale.slope, scale.intercept
    if not header.get("RescaleType"):
        header.RescaleType = "HU" if header.Modality == "CT" else "US"
    if series.window is not None:
        header.WindowCenter, header.WindowWidth = map(decimal, series.window)
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return header


def _frame(sources: tuple["Dataset", ...]) -> str:
    """The source's frame of reference; one new one where its slices do not share one."""
    frames = sorted({str(value(each, "FrameOfReferenceUID") or "") for each in sources})
    if len(frames) == 1 and frames[0]:
        return frames[0]
    return uid_of("frame of reference", str(sources[0].SeriesInstanceUID), *frames)


def _slice(common: "Dataset", planes: Planes, index: int, pixels: NDArray[np.int16] | NDArray[np.uint16]) -> "Dataset":
    header = deepcopy(common)
    header.InstanceNumber = index + 1
    header.ImagePositionPatient = [decimal(each) for each in planes.positions[index]]
    header.SliceLocation = decimal(planes.heights[index])
    header.SOPInstanceUID = uid_of("slice", common.SeriesInstanceUID, str(index), pixels.tobytes())
    header.add_new("PixelData", "OW", pixels.tobytes())
    return header


def _encoded(header: "Dataset") -> bytes:
    from pydicom.filebase import DicomBytesIO
    from pydicom.filewriter import write_dataset

    stream = DicomBytesIO()
    stream.is_little_endian, stream.is_implicit_VR = True, False
    write_dataset(stream, header)
    return stream.getvalue()


def _remarks(series: Series, scale: Rescale) -> list[str]:
    frames = {str(value(each, "FrameOfReferenceUID") or "") for each in series.datasets}
    notes = []
    if len(frames) > 1 or frames == {""}:
        notes.append("The derived series has one new FrameOfReferenceUID: its source has none that all slices share.")
    if coarser(scale, series.source_step):
        notes.append(
            f"The values span more than 65,536 steps of the source: they are rounded to {scale.slope:.6g} "
            f"instead of {series.source_step:.6g}."
        )
    return notes
