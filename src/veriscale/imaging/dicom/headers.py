"""The headers of the one series in a folder."""

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from veriscale.errors import InputError
from veriscale.imaging.dicom.attribute import identifier, number, slice_name, value
from veriscale.imaging.dicom.validation import as_they_stand

if TYPE_CHECKING:
    from pydicom import Dataset

DIRECTORY = "1.2.840.10008.1.3.10"  # Media Storage Directory Storage: a DICOMDIR
_LISTED = 6  # series that a sentence names
_DAMAGED = (
    "a file of the folder begins as DICOM and cannot be read: it is damaged or may not be opened; "
    "copy it again or take it out"
)


def series_headers(folder: str | os.PathLike[str]) -> tuple[list[tuple[Path, "Dataset"]], list[str]]:
    """Read the headers of a folder's images, which must be the single-frame grey slices of one series.

    Files are known by their content. What is not DICOM, a DICOMDIR, and objects without an image are passed over;
    subfolders are not searched.

    Returns:
        Each slice's file and header without pixel data, in no order; sentences for the user.

    Raises:
        InputError: no such folder, no image in it, images of several series, studies or patients, an enhanced
            multi-frame object, colour, a damaged file. No sentence holds a path or what identifies a patient.
    """
    files, ignored, others = _images(Path(folder))
    if not files:
        raise InputError(
            "the folder holds no DICOM image; give the folder that holds the slices of one series themselves "
            "(subfolders are not searched)"
        )
    headers = [header for _, header in files]
    _check_one_series(headers)
    for header in headers:
        _check_kind(header)
    notes = []
    if ignored:
        notes.append(
            f"{_count(ignored, 'file')} of the folder that {'is' if ignored == 1 else 'are'} not DICOM: ignored."
        )
    if others:
        notes.append(f"{_count(others, 'DICOM object')} of the folder without an image: ignored.")
    return files, notes


def _images(folder: Path) -> tuple[list[tuple[Path, "Dataset"]], int, int]:
    from pydicom.errors import InvalidDicomError

    try:
        names = sorted(each for each in folder.iterdir() if each.is_file())
    except OSError as error:
        what = "is not there or is not a folder" if not folder.is_dir() else "cannot be read"
        raise InputError(f"the DICOM folder {what}; check its name and rights") from error
    files, ignored, others = [], 0, 0
    for each in names:
        try:
            header = _header(each)
        except InvalidDicomError:
            ignored += 1
            continue
        except Exception as error:  # pydicom raises what its parsers happen to meet
            raise InputError(_DAMAGED) from error
        kind = identifier(header.file_meta, "MediaStorageSOPClassUID")
        if kind == DIRECTORY:
            continue
        if value(header, "Rows") is None and value(header, "Columns") is None:
            if not kind or "Image Storage" in kind.name:  # cut off before them
                raise InputError(_DAMAGED)
            others += 1
            continue
        files.append((each, header))
    return files, ignored, others


def _header(file: Path) -> "Dataset":
    import pydicom

    with as_they_stand():
        header = pydicom.dcmread(file, stop_before_pixels=True)
        _parse(header)
        _parse(header.file_meta)
    return header


def _parse(header: "Dataset") -> None:
    """Parse every element here, where nothing is said about it."""
    for tag in list(header.keys()):
        with suppress(Exception):  # what cannot be parsed is refused where it is needed
            element = header[tag]
            for item in element.value if element.VR == "SQ" else []:
                _parse(item)


def _check_one_series(headers: list["Dataset"]) -> None:
    series: dict[str, list[Dataset]] = {}
    for header in headers:
        series.setdefault(str(value(header, "SeriesInstanceUID")), []).append(header)
    if len(series) > 1:
        lines = [_series_name(each) for each in series.values()]
        more = f" and {len(lines) - _LISTED} more" if len(lines) > _LISTED else ""
        raise InputError(
            f"the folder holds {len(lines)} series: {'; '.join(sorted(lines)[:_LISTED])}{more}; "
            "put each into a folder of its own"
        )
    for keyword, what in (("StudyInstanceUID", "studies"), ("PatientID", "patients")):
        if len({str(value(header, keyword)) for header in headers}) > 1:
            raise InputError(
                f"the slices belong to several {what} ({keyword} differs) under one SeriesInstanceUID; "
                "put those of one into a folder of their own"
            )


def _series_name(headers: list["Dataset"]) -> str:
    """By number: what SeriesDescription says may be anybody's name."""
    told = number(headers[0], "SeriesNumber")
    return f"{'without number' if told is None else f'number {told:.0f}'} ({_count(len(headers), 'file')})"


def _check_kind(header: "Dataset") -> None:
    kind = identifier(header, "SOPClassUID")
    if (number(header, "NumberOfFrames") or 1) > 1 or kind.name.startswith("Enhanced"):
        raise InputError(
            "the folder holds an enhanced (multi-frame) object and only single-frame slices can be read; convert it "
            "to single-frame files with `emf2sf` of dcm4che, or to NIfTI with `dcm2niix`"
        )
    if (number(header, "SamplesPerPixel") or 1) != 1 or value(header, "PhotometricInterpretation") == "PALETTE COLOR":
        raise InputError(
            "the slices are colour images and a scan is grey; give the series of measured values, "
            "or export the colour images as PNG to restore them as photographs"
        )
    if value(header, "ModalityLUTSequence") is not None:
        raise InputError(
            f"the values of {slice_name(header)} are stored through a table (ModalityLUTSequence), which is not known "
            "here; export the series with RescaleSlope and RescaleIntercept"
        )


def _count(n: int, what: str) -> str:
    return f"{n} {what}{'s' * (n != 1)}"
