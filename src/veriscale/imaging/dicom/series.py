"""One single-frame series: a folder of slices as an array with its place in the patient."""

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from veriscale.errors import InputError
from veriscale.imaging.dicom.attribute import number, numbers, slice_name, value
from veriscale.imaging.dicom.dates import false_dates
from veriscale.imaging.dicom.headers import series_headers
from veriscale.imaging.dicom.pixels import check_decodable, read_pixels, rescale
from veriscale.imaging.dicom.stack import Stack, stacked

if TYPE_CHECKING:
    from pydicom import Dataset

MAX_SAMPLES = 512_000_000  # 2 GB of float32
_AGREE = 0.01  # of the step


@dataclass(frozen=True, eq=False)
class Series:
    """One volume of a scanner.

    Attributes:
        datasets: a header per slice, along the normal, without pixel data.
        samples: (rows, columns, slices) in the scanner's units, RescaleSlope and RescaleIntercept applied; float32,
            float64 where more than 16 bits are stored.
        affine: (4, 4) float64, from (row, column, slice) indices, of pixel centres, to RAS millimetres. DICOM is LPS:
            the first two of its axes are turned round here.
        thickness: SliceThickness in mm; None where it is absent or differs, never guessed.
        window: centre and width, of the middle slice; None where it has none.
        notes: sentences for the user, without names, dates, identifiers and paths.
    """

    datasets: tuple["Dataset", ...] = field(repr=False)  # they tell whose scan it is
    samples: NDArray[np.floating] = field(repr=False)
    affine: NDArray[np.float64]
    thickness: float | None
    window: tuple[float, float] | None
    notes: tuple[str, ...] = ()

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Mm between rows, columns, slices."""
        rows, columns, slices = np.linalg.norm(self.affine[:3, :3], axis=0).tolist()
        return rows, columns, slices

    @property
    def gap(self) -> float | None:
        """Mm between the end of a slice and the beginning of the next, negative where they overlap; None: unknown."""
        return None if self.thickness is None else self.spacing[2] - self.thickness

    @property
    def source_step(self) -> float:
        """What one stored unit means: the least RescaleSlope, without sign."""
        return min(abs(rescale(header)[0]) for header in self.datasets)


def read_series(folder: str | os.PathLike[str], max_samples: int = MAX_SAMPLES) -> Series:
    """Read a folder that holds one single-frame series.

    Slices are ordered by position along their normal, never by file name or number, and the spacing between them is
    that of their positions. Files are known by their content; what is no image is passed over. A single slice is
    taken for work within its plane: its affine has SpacingBetweenSlices, or else SliceThickness, as third spacing.

    Args:
        folder: the slices' own; subfolders are not searched.
        max_samples: what the headers may announce at most; guards against decompression bombs.

    Raises:
        InputError: no image, several series, studies, patients, orientations, sizes, phases or echoes; a missing slice,
            uneven spacing, gantry tilt; an enhanced multi-frame object, colour, a value table; compression without
            a decoder; a header without its geometry; pixel data that are truncated; too large.

    Source: DICOM PS3.3 C.7.6.2 (Image Plane), C.7.6.3 (Image Pixel), C.11.1 (Modality LUT).
    """
    files, notes = series_headers(folder)
    for _, header in files:
        check_decodable(header)
    shape, spacing = _size([header for _, header in files])
    stack = _stack([header for _, header in files], spacing)
    files = [files[index] for index in stack.order]
    headers = [header for _, header in files]
    if shape[0] * shape[1] * len(files) > max_samples:
        raise InputError(
            f"the series has {shape[0]}×{shape[1]}×{len(files)} samples, more than {max_samples:,}; give part of it"
        )
    thickness = _thickness(headers, notes)
    affine = _affine(stack, headers, thickness, notes)
    notes += _remarks(headers)
    wide = any((number(header, "BitsStored") or 16) > 16 for header in headers)
    samples = np.empty((*shape, len(files)), np.float64 if wide else np.float32)
    for index, (file, header) in enumerate(files):
        samples[..., index] = read_pixels(file, header)
    return Series(tuple(headers), samples, affine, thickness, _window(headers, notes), tuple(notes))


def _size(headers: list["Dataset"]) -> tuple[tuple[int, int], tuple[float, float]]:
    found = {(number(header, "Rows"), number(header, "Columns")) for header in headers}
    if len(found) > 1:
        sizes = ", ".join(sorted(f"{rows or 0:.0f}×{columns or 0:.0f}" for rows, columns in found))
        raise InputError(f"the slices have different sizes ({sizes}); put those of one size into a folder of their own")
    rows, columns = (int(each or 0) for each in next(iter(found)))
    if rows < 1 or columns < 1:
        raise InputError("the headers announce images without rows or columns; export the series again")
    spacings = np.array([_geometry(header, "PixelSpacing", 2) for header in headers])
    if spacings.min() <= 0:
        raise InputError("PixelSpacing should be above 0 mm; repair the headers")
    if np.ptp(spacings, axis=0).max() > 1e-4 * spacings.min():
        raise InputError(
            "the slices have different pixel sizes (PixelSpacing); put those of one size into a folder of their own"
        )
    between = spacings.mean(axis=0).tolist()
    return (rows, columns), (between[0], between[1])


def _stack(headers: list["Dataset"], spacing: tuple[float, float]) -> Stack:
    orientations = np.array([_geometry(header, "ImageOrientationPatient", 6) for header in headers])
    positions = np.array([_geometry(header, "ImagePositionPatient", 3) for header in headers])
    return stacked(orientations, positions, spacing)


def _geometry(header: "Dataset", keyword: str, count: int) -> list[float]:
    found = numbers(header, keyword, count)
    if found is None:
        raise InputError(
            f"{slice_name(header)} has no {keyword}, so where it lies is unknown; export the series with its geometry, "
            "or export the slices as PNG to restore them as pictures"
        )
    return found


def _thickness(headers: list["Dataset"], notes: list[str]) -> float | None:
    found = [number(header, "SliceThickness") for header in headers]
    known = [each for each in found if each is not None and each > 0]
    if not known:
        notes.append("SliceThickness is not in the headers: the thickness of the slices is unknown.")
        return None
    if len(known) < len(found) or max(known) - min(known) > _AGREE * max(known):
        notes.append("SliceThickness is not the same in all slices: their thickness counts as unknown.")
        return None
    return float(np.median(known))


def _affine(stack: Stack, headers: list["Dataset"], thickness: float | None, notes: list[str]) -> NDArray[np.float64]:
    said = [each for header in headers if (each := number(header, "SpacingBetweenSlices")) is not None]
    affine, step = stack.affine.copy(), stack.step
    if len(headers) == 1:
        named = [("SpacingBetweenSlices", said[0] if said else None), ("SliceThickness", thickness)]
        keyword, step = next(((k, each) for k, each in named if each is not None and each > 0), ("", 0.0))
        if not keyword:
            raise InputError(
                "the folder holds a single slice with neither SpacingBetweenSlices nor SliceThickness, so its extent "
                "is unknown; give the whole series"
            )
        affine[:3, 2] *= step
        notes.append(f"A single slice: it can be restored in its plane only; its extent is {keyword}, {step:.3f} mm.")
        return affine
    if any(abs(abs(each) - step) > _AGREE * step for each in said):  # some scanners write it with a sign
        notes.append(f"SpacingBetweenSlices says {_range(said)} mm, the positions {step:.3f} mm: the positions count.")
    if thickness is not None and abs(step - thickness) > _AGREE * step:
        kind = f"with gaps of {step - thickness:.3f}" if step > thickness else f"overlapping by {thickness - step:.3f}"
        notes.append(f"Slices of {thickness:.3f} mm every {step:.3f} mm: {kind} mm.")
    return affine


def _range(values: list[float]) -> str:
    low, high = min(values), max(values)
    return f"{low:.3f}" if high - low < 1e-3 else f"{low:.3f} to {high:.3f}"


def _remarks(headers: list["Dataset"]) -> list[str]:
    notes = []
    frames = {str(value(header, "FrameOfReferenceUID") or "") for header in headers}
    if len(frames) > 1:
        notes.append(
            f"The slices of one geometry carry {len(frames)} FrameOfReferenceUIDs: a derived series gets a new one."
        )
    elif frames == {""}:
        notes.append("The slices carry no FrameOfReferenceUID: a derived series gets a new one.")
    wrong = sorted({keyword for header in headers for keyword in false_dates(header)})
    if wrong:
        notes.append(f"{', '.join(wrong)} hold no date: a derived series leaves such dates empty.")
    if any(value(header, "PixelPaddingValue") is not None for header in headers):
        notes.append("Samples outside the scan carry a padding value and are restored like any other.")
    return notes


def _window(headers: list["Dataset"], notes: list[str]) -> tuple[float, float] | None:
    windows = [_first_window(header) for header in headers]
    middle = windows[len(windows) // 2]
    if middle is not None and len(set(windows)) > 1:
        notes.append("The slices have windows of their own: a derived series has that of the middle one.")
    return middle


def _first_window(header: "Dataset") -> tuple[float, float] | None:
    found = []
    for keyword in ("WindowCenter", "WindowWidth"):
        each = value(header, keyword)
        found.append(numbers(header, keyword, len(each) if hasattr(each, "__iter__") else 1))
    centres, widths = found
    return (centres[0], widths[0]) if centres and widths and widths[0] > 0 else None
