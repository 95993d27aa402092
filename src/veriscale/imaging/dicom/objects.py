"""A mask and a spread as DICOM objects that refer to the derived series (extra `dicom`)."""

import os
from copy import copy
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from veriscale.errors import InputError
from veriscale.imaging.atomic import replacing
from veriscale.imaging.dicom.derivation import MAKER, Derivation, ascii_text
from veriscale.imaging.dicom.identifiers import uid_of
from veriscale.imaging.dicom.series import Series
from veriscale.imaging.dicom.validation import as_they_stand

if TYPE_CHECKING:
    from types import ModuleType

    from pydicom import Dataset

_SCHEME = "99VERISCALE"  # of codes that no terminology has; 99 says private (DICOM PS3.3 8.2)


def write_mask(
    derived: Series,
    mask: NDArray[np.bool_],
    file: str | os.PathLike[str],
    derivation: Derivation,
    *,
    label: str = "trusted",
    force: bool = False,
) -> None:
    """Write a mask as a binary Segmentation of the derived series.

    Args:
        derived: the derived series as `read_series` reads it back; its identifiers are what the object refers to.
        mask: (rows, columns, slices), on the derived grid.
        file: where it belongs.
        derivation: what was done.
        label: of the segment, at most 64 characters.
        force: replace a file that is there.

    Raises:
        InputError: highdicom is not installed, another shape, the file is there or cannot be written.

    Source: DICOM PS3.3 A.51, C.8.20.
    """
    hd = highdicom_for("a mask")
    from pydicom.sr.codedict import codes
    from pydicom.sr.coding import Code

    frames = _frames(derived, mask).astype(np.uint8)
    segment = hd.seg.SegmentDescription(
        segment_number=1,
        segment_label=ascii_text(label, 64),
        segmented_property_category=codes.SCT.SpatialAndRelationalConcept,
        segmented_property_type=Code("trusted", _SCHEME, "Region of controlled error"),
        algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=hd.AlgorithmIdentificationSequence(
            name=MAKER, family=codes.DCM.ArtificialIntelligence, version=derivation.software
        ),
    )
    with as_they_stand(), replacing(file, force) as temporary:
        hd.seg.Segmentation(
            pixel_array=frames,
            segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
            segment_descriptions=[segment],
            omit_empty_frames=False,  # an empty mask says something too
            content_label="TRUSTED",
            content_description=ascii_text(f"{label}, not for diagnosis", 64),
            series_description=_title(derived, label),
            **_facts(derived, frames, derivation, "mask", 1),
        ).save_as(temporary)


def write_spread(
    derived: Series,
    std: NDArray[np.floating],
    file: str | os.PathLike[str],
    derivation: Derivation,
    *,
    force: bool = False,
) -> None:
    """Write the standard deviation between draws as a Parametric Map of the derived series.

    Args:
        derived: the derived series as `read_series` reads it back.
        std: (rows, columns, slices), finite, at least 0, in the scanner's units; kept as float32.
        file: where it belongs.
        derivation: what was done.
        force: replace a file that is there.

    Raises:
        InputError: highdicom is not installed, another shape, NaN, the file is there or cannot be written.

    Source: DICOM PS3.3 A.75, C.8.32.
    """
    hd = highdicom_for("a spread")
    from pydicom.sr.codedict import codes

    frames = _frames(derived, std).astype(np.float32)
    top = float(frames.max())
    if not np.isfinite(frames).all():
        raise InputError("the spread holds NaN or infinite values, which a parametric map cannot show")
    hounsfield = derived.datasets[0].get("RescaleType") == "HU"
    mapping = hd.pm.RealWorldValueMapping(
        lut_label="std",
        lut_explanation="Standard deviation between draws",
        unit=codes.UCUM.HounsfieldUnit if hounsfield else codes.UCUM.NoUnits,
        value_range=(0.0, max(top, float(np.finfo(np.float32).tiny))),
        slope=1.0,
        intercept=0.0,
        quantity_definition=codes.SCT.StandardDeviation,
    )
    with as_they_stand(), replacing(file, force) as temporary:
        hd.pm.ParametricMap(
            pixel_array=frames,
            contains_recognizable_visual_features=False,
            real_world_value_mappings=[mapping],
            window_center=top / 2,
            window_width=max(top, 1e-6),
            content_label="STD",
            content_description="Standard deviation between draws, not for diagnosis",
            series_description=_title(derived, "std"),
            **_facts(derived, frames, derivation, "spread", 2),
        ).save_as(temporary)


def highdicom_for(what: str) -> "ModuleType":
    """The library that writes these objects.

    Args:
        what: is to be written, in words.

    Raises:
        InputError: it is not installed.
    """
    try:
        import highdicom
        import highdicom.pm
        import highdicom.seg
    except ImportError as error:
        raise InputError(
            f"writing {what} as a DICOM object needs highdicom; `pip install 'veriscale[dicom]'`, or write NIfTI"
        ) from error
    return highdicom


def _frames(derived: Series, values: NDArray[Any]) -> NDArray[Any]:
    """(slices, rows, columns)."""
    if values.shape != derived.samples.shape:
        raise InputError(
            f"the map has the shape {values.shape} and the derived series {derived.samples.shape}: they should agree"
        )
    return np.ascontiguousarray(np.moveaxis(values, 2, 0))


def _facts(derived: Series, frames: NDArray[Any], derivation: Derivation, what: str, offset: int) -> dict[str, Any]:
    """What both kinds of object say of themselves and of their place."""
    series = uid_of(what, str(derived.datasets[0].SeriesInstanceUID), str(frames.shape), frames.tobytes())
    return {
        "source_images": _sources(derived),
        "series_instance_uid": series,
        "series_number": int(derived.datasets[0].SeriesNumber) + offset,
        "sop_instance_uid": uid_of("instance", series),
        "instance_number": 1,
        "manufacturer": MAKER,
        "manufacturer_model_name": ascii_text(derivation.prior, 64),
        "software_versions": derivation.software,
        "device_serial_number": ascii_text(derivation.prior_hash, 64),
    }


def _sources(derived: Series) -> list["Dataset"]:
    """The headers, with the step as thickness where it is unknown: a multi-frame object has to have one."""
    sources = [copy(each) for each in derived.datasets]
    for each in sources if derived.thickness is None else []:
        each.SliceThickness = each.SpacingBetweenSlices
    return sources


def _title(derived: Series, what: str) -> str:
    ending = f"{ascii_text(what, 20)}, not for diagnosis"
    source = str(derived.datasets[0].get("SeriesDescription") or "").removesuffix(", not for diagnosis")
    return f"{source[: 63 - len(ending)]} {ending}".strip()
