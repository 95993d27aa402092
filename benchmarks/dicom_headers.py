"""A folder of DICOM slices as pydicom alone reads it: the judge of what this library reads and writes."""

import os
import warnings
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset

from results import ROOT

DATA = Path(os.environ.get("VERISCALE_DATA") or ROOT.parent / "shared" / "data") / "mri" / "dicom"
SERIES = ("t1_oblique", "epi_brain", "cardiac_sax_oblique")


def folder_of(series: str) -> Path:
    """Where a series lies."""
    if not (DATA / series).is_dir():
        raise SystemExit(f"{DATA} holds no {series}; set VERISCALE_DATA")
    return DATA / series


def slices_of(folder: Path) -> list[Dataset]:
    """By their position along the normal of the first."""
    with pydicom.config.disable_value_validation(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = [pydicom.dcmread(file) for file in sorted(folder.iterdir())]
    x, y = np.reshape(np.array(found[0].ImageOrientationPatient, float), (2, 3))
    return sorted(found, key=lambda each: float(np.cross(x, y) @ np.array(each.ImagePositionPatient, float)))


def affine_of(slices: list[Dataset]) -> np.ndarray:
    """(4, 4), from (row, column, slice) to RAS millimetres, of headers as they stand (PS3.3 C.7.6.2.1.1)."""
    first, last = (np.array(slices[k].ImagePositionPatient, float) for k in (0, -1))
    along_row, along_column = np.reshape(np.array(slices[0].ImageOrientationPatient, float), (2, 3))
    rows, columns = (float(each) for each in slices[0].PixelSpacing)
    lps = np.eye(4)
    lps[:3] = np.stack([along_column * rows, along_row * columns, (last - first) / (len(slices) - 1), first], axis=1)
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ lps


def values_of(slices: list[Dataset]) -> np.ndarray:
    """(rows, columns, slices), rescaled."""
    scaled = [
        each.pixel_array * float(each.get("RescaleSlope", 1)) + float(each.get("RescaleIntercept", 0))
        for each in slices
    ]
    return np.stack(scaled, axis=-1)


def shape_of(slices: list[Dataset]) -> tuple[int, int, int]:
    """Of their values."""
    return int(slices[0].Rows), int(slices[0].Columns), len(slices)
